"""What the HTTP half stands on: settings, records, files, and the bell that wakes workers."""

from dataclasses import dataclass

from worker.belonging import open_store
from worker.blobs import Blobs
from worker.celery_app import CeleryBell
from worker.doorbell import Doorbell
from worker.partials import Partials
from worker.records import Records
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Open connections. Tests put the ports' twins in their place."""

    settings: Settings
    records: Records
    blobs: Blobs
    bell: Doorbell

    @property
    def partials(self) -> Partials:
        """Checkpoints that come in pieces."""
        return Partials(self.settings.partials)

    def close(self) -> None:
        """Let go of all of them."""
        self.bell.close()
        self.records.close()


def open_services(settings: Settings) -> Services:
    """The services `settings` name. Raises ServiceError, and SettingsError for addresses that are none."""
    records = Records(settings.database)
    blobs = open_store(settings.blobs, settings.scratch, records)
    return Services(settings, records, blobs, CeleryBell(settings.broker))
