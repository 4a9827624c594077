"""A scripted Claude Code.

    claude.py STATE ARGUMENT…

The text of every prompt is Python that runs with the names of this file: a prompt says what Claude does in that turn.
STATE is a directory in which a conversation is a file, from its first prompt on.
"""

import json
import os
import signal
import subprocess
import sys
import time

state, arguments = sys.argv[1], sys.argv[2:]
interrupted = False
ended = False
asked = 0


def raw(data):
    """Writes bytes as they are."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def send(kind, **members):
    raw(json.dumps({'type': kind, **members}).encode() + b'\n')


def listen():
    """The next message, or the end."""
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def serve(message):
    """Answers an order."""
    global interrupted
    if message['type'] != 'control_request':
        return
    answer = {'models': [], 'commands': []}
    interrupted |= message['request']['subtype'] == 'interrupt'
    send('control_response', response={'subtype': 'success', 'request_id': message['request_id'], 'response': answer})


def say(text):
    send('stream_event', event={'type': 'content_block_delta', 'delta': {'type': 'text_delta', 'text': text}})


def use(name, id='t1', **input):
    block = {'type': 'tool_use', 'id': id, 'name': name, 'input': input}
    send('assistant', message={'id': 'm', 'content': [block]})


def back(text, id='t1'):
    block = {'type': 'tool_result', 'tool_use_id': id, 'content': text}
    send('user', message={'role': 'user', 'content': [block]})


def may(name, id='t1', **input):
    """Asks whether it may, and waits for the answer or for the interrupt."""
    global asked
    asked += 1
    number = f'ask-{asked}'
    request = {'subtype': 'can_use_tool', 'tool_name': name, 'input': input, 'tool_use_id': id}
    send('control_request', request_id=number, request=request)
    while not interrupted:
        message = listen()
        serve(message)
        if message['type'] == 'control_response' and message['response']['request_id'] == number:
            return message['response']['response']


def wait():
    """Until it is interrupted."""
    while not interrupted:
        serve(listen())


def hang():
    while True:
        time.sleep(1000)


def daemon():
    """Starts what outlives this process, and gives its number."""
    orphan = "trap '' TERM; echo $$; exec >/dev/null; sleep 1000"
    child = subprocess.Popen(['setsid', 'sh', '-c', orphan], stdout=subprocess.PIPE)
    return child.stdout.readline().decode().strip()


def end(**members):
    """Ends the turn, once."""
    global ended
    if ended:
        return
    ended = True
    send('result', **{'subtype': 'success', 'is_error': False, 'stop_reason': 'end_turn', **members})


def begin():
    how, id = arguments[-2:]
    conversation = os.path.join(state, id)
    exists = os.path.exists(conversation)
    if how == '--resume' and not exists:
        end(subtype='error_during_execution', is_error=True, errors=[f'No conversation found with session ID: {id}'])
        sys.exit(1)
    if how == '--session-id' and exists:
        sys.exit(f'Error: Session ID {id} is already in use.')
    return conversation, exists


conversation, resumed = begin()
while True:
    message = listen()
    if message['type'] != 'user':
        serve(message)
        continue
    open(conversation, 'a').close()
    interrupted = ended = False
    send('system', subtype='init', session_id=arguments[-1], permissionMode='default')
    exec(message['message']['content'][0]['text'])
    end(**({'subtype': 'error_during_execution', 'stop_reason': 'tool_use'} if interrupted else {}))
