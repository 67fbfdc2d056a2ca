"""The sources there are, in the order in which they are asked: original bodies, then times, then states."""

from reconciler.sources import EventSource
from reconciler.sources.call_events import CallEvents
from reconciler.sources.conferences import Conferences
from reconciler.sources.detail_records import DetailRecords
from reconciler.sources.participants import Participants
from reconciler.sources.queues import Queues
from reconciler.sources.recordings import Recordings
from reconciler.sources.webhook_deliveries import WebhookDeliveries

ORIGINALS: tuple[EventSource, ...] = (WebhookDeliveries(), CallEvents())
STATES: tuple[EventSource, ...] = (DetailRecords(), Conferences(), Participants(), Queues(), Recordings())
