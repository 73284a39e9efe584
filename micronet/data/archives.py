"""The official archives: where they are, what is in them, and the checksums their publisher gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OFFICIAL_SITE = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True, slots=True)
class Archive:
    """A tar file and the files in it that we read.

    `size` is in bytes; `folder` is the directory inside the archive, and in the data directory; `members` maps the name
    of each file in it to its MD5. MD5 is what the publisher gives: it tells damage and mix-ups, not forgery.
    """

    filename: str
    size: int
    md5: str
    folder: str
    members: Mapping[str, str]


ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        "cifar100": Archive(
            filename="cifar-100-python.tar.gz",
            size=169_001_437,
            md5="eb9058c3a382ffc7106e4002c42a8d85",
            folder="cifar-100-python",
            members=MappingProxyType(
                {
                    "train": "16019d7e3df5f24257cddd939b257f8d",
                    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
                    "meta": "7973b15100ade9c7d40fb424638fde48",
                }
            ),
        ),
        "cifar10": Archive(
            filename="cifar-10-python.tar.gz",
            size=170_498_071,
            md5="c58f30108f718f92721af3b95e74349a",
            folder="cifar-10-batches-py",
            members=MappingProxyType(
                {
                    "data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "data_batch_4": "634d18415352ddfa80567beed471001a",
                    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "test_batch": "40351d587109b95175f43aff81a1287e",
                    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
                }
            ),
        ),
    }
)


def how_to_get(archive: Archive, data_dir: object) -> str:
    """What to do by hand, for messages: fetch the archive, unpack it into `data_dir`."""
    return (
        f"fetch {OFFICIAL_SITE}/{archive.filename} (MD5 {archive.md5}) and unpack it in {data_dir}, "
        f"so that {data_dir}/{archive.folder}/{next(iter(archive.members))} is there"
    )
