"""Networks for bare state dicts: descriptions that need no torch here, builders and loading in the modules beside."""

from micronet.architectures.options import Options
from micronet.architectures.table import ARCHITECTURES, Architecture, architectures, find_architecture

__all__ = ["ARCHITECTURES", "Architecture", "Options", "architectures", "find_architecture"]
