"""The sources there are, in the order in which they are asked: original bodies, then times, then states."""

from holdtime.reconciler.sources import Source
from holdtime.reconciler.sources.call_events import CallEvents
from holdtime.reconciler.sources.conferences import Conferences
from holdtime.reconciler.sources.detail_records import DetailRecords
from holdtime.reconciler.sources.participants import Participants
from holdtime.reconciler.sources.queues import Queues
from holdtime.reconciler.sources.recordings import Recordings
from holdtime.reconciler.sources.webhook_deliveries import WebhookDeliveries

ORIGINALS: tuple[Source, ...] = (WebhookDeliveries(), CallEvents())
STATES: tuple[Source, ...] = (DetailRecords(), Conferences(), Participants(), Queues(), Recordings())
