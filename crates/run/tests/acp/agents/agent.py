"""A scripted ACP agent.

    agent.py RECORD [SETUP]

SETUP and the text of every prompt are Python that runs with the names of this file: a prompt says what the agent does
in that turn. RECORD gets every line of the conversation, {"dir": "in" | "out", "line": …}, for the test to hold
against the protocol. What must outlive the process is kept beside it.
"""

import json
import os
import signal
import sys
import time

record = open(sys.argv[1], 'a')
capabilities = {'loadSession': True, 'sessionCapabilities': {'resume': {}}, 'promptCapabilities': {}}
login = []
stop = 'end_turn'
usage = None
session = None
cancelled = False
overrides = {}
after = None


class Refused(Exception):
    """An error, as an answer: code, message, data."""


def note(direction, line):
    record.write(json.dumps({'dir': direction, 'line': line}) + '\n')
    record.flush()


def raw(data):
    """Writes bytes as they are."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def send(message):
    line = json.dumps({'jsonrpc': '2.0', **message})
    if len(line) < 100_000:
        note('out', line)
    raw(line.encode() + b'\n')


def listen():
    """The next message, or the end."""
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)
    line = line.decode().rstrip('\n')
    note('in', line)
    return json.loads(line)


# What an agent says and asks.

def update(kind, of=None, **members):
    send({'method': 'session/update', 'params': {'sessionId': of or session, 'update': {'sessionUpdate': kind, **members}}})


def say(text, kind='agent_message_chunk', of=None):
    update(kind, of, content={'type': 'text', 'text': text})


def commands(*names):
    update('available_commands_update', availableCommands=[{'name': name, 'description': name} for name in names])


asked = 0
answers = {}


def begin(method, id=None, **params):
    """Asks without waiting."""
    global asked
    asked += 1
    id = id or asked
    send({'id': id, 'method': method, 'params': {'sessionId': session, **params}})
    return id


def answer(id):
    """Waits for the answer to what was asked."""
    global cancelled
    while id not in answers:
        message = listen()
        if message.get('method') == 'session/cancel':
            cancelled = True
        elif 'id' in message and 'method' not in message:
            answers[message['id']] = message
    message = answers.pop(id)
    if 'error' in message:
        raise Refused(message['error']['code'], message['error']['message'])
    return message['result']


def call(method, **params):
    return answer(begin(method, **params))


def tries(method, **params):
    """Says the result, or the error."""
    try:
        say(f'{json.dumps(call(method, **params))}\n')
    except Refused as refused:
        say(f'{refused.args[0]}: {refused.args[1]}\n')


def permission(title='May I?', id=None, **members):
    options = [
        {'optionId': 'yes', 'name': 'Allow', 'kind': 'allow_once'},
        {'optionId': 'no', 'name': 'Reject', 'kind': 'reject_once'},
    ]
    tool = {'toolCallId': 't1', 'title': title, 'kind': 'edit', **members}
    return begin('session/request_permission', id, toolCall=tool, options=options)


def ask(*args, **members):
    """Asks whether it may; the option chosen, or None."""
    return answer(permission(*args, **members))['outcome'].get('optionId')


def wait_for_cancel():
    global cancelled
    while not cancelled:
        cancelled = listen().get('method') == 'session/cancel'


def hang():
    while True:
        time.sleep(1000)


def daemon(ignore=True):
    """Leaves a process behind in a session of its own, and says its number."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if ignore:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(write, str(os.getpid()).encode())
            hang()
        os._exit(0)
    os.wait()
    return os.read(read, 20).decode()


# What it remembers.

def kept(name=None):
    return f'{sys.argv[1]}.{name or session}'


def replay():
    for text in open(kept()).read().splitlines():
        say(text, 'user_message_chunk')
        say('as before')


# What it is asked.

def initialize(params):
    return {'protocolVersion': 1, 'agentCapabilities': capabilities, 'authMethods': login}


def new(params):
    global session
    session = f's-{os.getpid()}'
    open(kept(), 'w').close()
    return {'sessionId': session}


def restore(params):
    global session
    session = params['sessionId']
    if not os.path.exists(kept()):
        raise Refused(-32002, f'there is no session {session}')


def load(params):
    restore(params)
    replay()
    return None


def resume(params):
    restore(params)
    return {}


def prompt(params):
    global cancelled
    cancelled = False
    text = '\n'.join(block.get('text', '') for block in params['prompt'])
    with open(kept(), 'a') as memory:
        memory.write(text.splitlines()[0] + '\n')
    exec(text, globals())
    result = {'stopReason': 'cancelled' if cancelled else stop}
    return {**result, 'usage': usage} if usage else result


handlers = {
    'initialize': initialize,
    'session/new': new,
    'session/load': load,
    'session/resume': resume,
    'session/prompt': prompt,
}


def serve(message):
    handler = overrides.get(message.get('method')) or handlers.get(message.get('method'))
    if handler is None or 'id' not in message:
        return
    try:
        send({'id': message['id'], 'result': handler(message['params'])})
    except Refused as refused:
        code, text, *data = refused.args
        send({'id': message['id'], 'error': {'code': code, 'message': text, **({'data': data[0]} if data else {})}})


if __name__ == '__main__':
    exec(sys.argv[2] if len(sys.argv) > 2 else '', globals())
    while True:
        serve(listen())
        if after:
            # What a prompt or the setup left to be done once the answer is out.
            then, after = after, None
            then()
