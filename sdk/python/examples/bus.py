"""Two agents share a bus, and one hands its work to the other: python bus.py [--connect HOST:PORT]."""

import argparse
import threading

from trunkline.bus import Bus, Workspace

parser = argparse.ArgumentParser(description="Two agents share a bus, and one hands its work to the other.")
parser.add_argument("--connect", metavar="HOST:PORT", help="where the bus is served (default: it is in this process)")
args = parser.parse_args()

with Bus(connect=args.connect) as bus:
    team = Workspace(bus, "release")
    done = threading.Event()

    def writer(topic: object, data: dict[str, str], agent: object) -> None:
        record = bus.get_session(data["session"]) or {}
        print(f"{agent} hands over {team.get('plan')['version']}: {record['todos'][0]}")
        bus.update_session(data["session"], status="completed")  # 5. say how it ended
        done.set()

    bus.subscribe("release.ready", writer)  # 1. wait for work

    team.put("plan", {"version": "1.4"}, agent="planner", ttl=3600)  # 2. share what both need, for an hour
    session = bus.save_session("planner", task_summary="release 1.4", todos=["write the notes"])  # 3. leave a record
    bus.checkpoint(session, "planner", {"tests": "green"})
    team.transfer("planner", "writer")
    bus.publish("release.ready", {"session": session}, agent="planner")  # 4. tell who waits

    done.wait(30)
    record = bus.get_session(session) or {}
    print("the work is", record["status"], "and the plan is the writer's:", team.keys(agent="writer"))
