"""An agent that asks a person before it acts: python agent.py [--base-url URL] [--display-name NAME]."""

import argparse

import trunkline

parser = argparse.ArgumentParser(description="An agent that asks a person before it acts.")
parser.add_argument("--base-url", help="where the daemon is (default: the daemon of the home directory)")
parser.add_argument("--display-name", default="example-agent", help="what people see")
args = parser.parse_args()

with trunkline.Client(base_url=args.base_url) as client:
    me = client.register(args.display_name)  # 1. say who you are
    question = client.create_request(me, "Proceed with migration?", options=["yes", "no"], priority="high")  # 2. ask
    for message in client.inbox(me):  # 3. wait for messages
        if message.closes(question):
            print("answer:", message.answer.option if message.answer else message.payload["outcome"])  # 4. act on it
            client.ack(me, message)  # 5. say that it is dealt with
            break
    client.close_session(me)
