"""What agents share: keys and values, topics, who is there, and records of work. Only the standard library is used.

Every name of the original ``engram-bus`` library is here, and its wire is spoken both ways::

    from trunkline.bus import Bus

    bus = Bus()                                  # in this process, no daemon needed
    bus.put("plan", {"step": 1}, agent="planner", ttl=3600)
    bus.subscribe("build.done", lambda topic, data, agent: print(agent, data))
    bus.publish("build.done", {"ok": True}, agent="builder")

Parts: :mod:`~.values`, :mod:`~.receipts`, :mod:`~.topics`, :mod:`~.pattern` and :mod:`~.agents` are what a bus holds,
without I/O, and :mod:`~.handoffs` what it keeps in SQLite; :mod:`~.engine` puts them together and says how each
operation looks on the wire; :mod:`~.codec` and :mod:`~.lines` are that wire. :mod:`~.server` and :mod:`~.connection`
serve it; :mod:`~.client`, :mod:`~.link` and :mod:`~.dispatcher` are the other end. :mod:`~.operations` are the
methods that all of them have.
"""

from trunkline.bus.bus import Bus
from trunkline.bus.client import BusClient
from trunkline.bus.clock import Clock
from trunkline.bus.errors import BusError
from trunkline.bus.server import BusServer
from trunkline.bus.workspace import Workspace

__all__ = ["Bus", "BusClient", "BusError", "BusServer", "Clock", "Workspace"]
