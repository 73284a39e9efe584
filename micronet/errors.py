"""Every error this project raises on purpose, in one tree.

    MicronetError
    ├── CheckpointError            the uploaded file cannot be used
    │   ├── UnknownFormat              none of the formats we read
    │   ├── FileTooLarge               over a bound that is checked before parsing
    │   ├── CorruptFile                the format is known, the content breaks its rules
    │   ├── DecompressionBomb          an archive that grows out of proportion
    │   ├── UnsafePickle               a pickle that wants code, not tensors
    │   ├── NoStateDict                a readable file with no tensors where they are expected
    │   ├── UnsupportedTensor          stride-0, overlapping, sparse, meta, quantized, complex tensors
    │   ├── NotFinite                  NaN or infinity among the weights
    │   ├── MissingKeys                tensors the architecture needs and the file lacks
    │   ├── UnexpectedKeys             tensors the file has and the architecture does not
    │   ├── ShapeMismatch              a tensor of the right name and the wrong shape
    │   └── OnnxError
    │       ├── OnnxExternalData           tensors outside the file
    │       ├── OnnxForeignDomain          an operation of somebody's own domain
    │       ├── OnnxUnsupportedVersion     an opset or IR version outside the range we read
    │       ├── OnnxUnsupportedOperation   an operation the importer has no row for
    │       ├── OnnxUnsupportedFeature     a known operation, used in a way we do not read
    │       └── OnnxInterface              not exactly one image input and one output of logits
    ├── ArchitectureError          the description of the network cannot be used
    │   ├── UnknownArchitecture
    │   ├── InvalidArchitectureOptions
    │   ├── ArchitectureRequired       a bare state dict says nothing about its network
    │   └── ArchitectureNotAccepted    an ONNX file already says everything
    ├── GraphError                 the network cannot become, or stay, a graph
    │   ├── CaptureFailed              the module could not be followed
    │   ├── UnknownOperation           no rule says what the operation costs
    │   ├── AlreadyQuantized           widths were asked for, and the graph has its own
    │   ├── NotWritable                standard ONNX has no words for it
    │   └── ImagesMix                  the answer for one image depends on the others in its batch
    ├── SettingsError              settings that contradict each other or the file
    ├── DataError                  the images
    │   ├── UnknownTrack
    │   ├── DatasetMissing
    │   └── DatasetCorrupt
    └── NumericalError             the network gives NaN or infinity

and Paused, which is no error: what a computation that was told to stop raises where it can go on from.

`code` is stable and part of the contract; the message says what was wrong and what would be right.
`yours` tells a bad file or setting (true) from a fault of the server (false).
"""

from typing import ClassVar


class MicronetError(Exception):
    """Base of the tree, of which what is below is raised. `str(error)` says what was wrong, and what would be right."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    yours: ClassVar[bool] = True
    retryable: ClassVar[bool] = False


class CheckpointError(MicronetError):
    """The uploaded file cannot be used."""

    code = "checkpoint"
    title = "The checkpoint cannot be used"


class UnknownFormat(CheckpointError):
    """The file is in none of the formats we read. The message says what it is instead, where that can be told."""

    code = "unknown-format"
    title = "Not a checkpoint format we read"


class FileTooLarge(CheckpointError):
    """The file, or something it declares, is over a bound that is checked before parsing."""

    code = "file-too-large"
    title = "The file is over a size limit"


class CorruptFile(CheckpointError):
    """The format is known; the content breaks its rules, as where an upload was cut short."""

    code = "corrupt-file"
    title = "The file is damaged"


class DecompressionBomb(CheckpointError):
    """An archive that would grow out of all proportion."""

    code = "decompression-bomb"
    title = "The archive expands out of proportion"


class UnsafePickle(CheckpointError):
    """A pickle that wants to run code. Nothing in it was run; a file of the state dict alone is read."""

    code = "unsafe-pickle"
    title = "The pickle asks for code, not only for tensors"


class NoStateDict(CheckpointError):
    """The file is readable and holds no state dict where one is expected. The message names what is there."""

    code = "no-state-dict"
    title = "No state dict in the file"


class UnsupportedTensor(CheckpointError):
    """A tensor that no score can be derived from: sparse, quantized, complex, overlapping, or without values."""

    code = "unsupported-tensor"
    title = "A tensor of an unsupported kind"


class NotFinite(CheckpointError):
    """NaN or infinity among the weights."""

    code = "not-finite"
    title = "Weights that are not finite"


FINITE_MASK = "For infinity in a mask a large number, such as -1e9, does the same."
"""What would be right, for most of whom NotFinite meets with constants of their own making."""


class MissingKeys(CheckpointError):
    """The architecture needs tensors the file lacks: it is another one, or has other options."""

    code = "missing-keys"
    title = "Tensors are missing"


class UnexpectedKeys(CheckpointError):
    """The file has tensors the architecture does not know: it is another one, or has other options."""

    code = "unexpected-keys"
    title = "Tensors nobody asked for"


class ShapeMismatch(CheckpointError):
    """A tensor of the right name and the wrong shape: other options, such as depth or width, would fit."""

    code = "shape-mismatch"
    title = "A tensor has the wrong shape"


class OnnxError(CheckpointError):
    """An ONNX file that cannot be read into the graph."""

    code = "onnx"
    title = "The ONNX file cannot be used"


class OnnxExternalData(OnnxError):
    """Tensors that lie outside the file; export all of it into one."""

    code = "onnx-external-data"
    title = "The ONNX file keeps its weights elsewhere"


class OnnxForeignDomain(OnnxError):
    """An operation from a domain other than ONNX's own."""

    code = "onnx-foreign-domain"
    title = "An operation outside the ONNX standard"


class OnnxUnsupportedVersion(OnnxError):
    """An opset or IR version outside the range we read."""

    code = "onnx-unsupported-version"
    title = "An ONNX version we do not read"


class OnnxUnsupportedOperation(OnnxError):
    """An ONNX operation the importer has no row for."""

    code = "onnx-unsupported-operation"
    title = "An ONNX operation without a rule"


class OnnxUnsupportedFeature(OnnxError):
    """A known ONNX operation, used in a way we do not read."""

    code = "onnx-unsupported-feature"
    title = "An ONNX operation used in a way we do not read"


class OnnxInterface(OnnxError):
    """Not exactly one image input and one output of logits."""

    code = "onnx-interface"
    title = "The ONNX file is not an image classifier"


class ArchitectureError(MicronetError):
    """The description of the network cannot be used."""

    code = "architecture"
    title = "The architecture cannot be used"


class UnknownArchitecture(ArchitectureError):
    """No architecture of that name. The message names the nearest."""

    code = "unknown-architecture"
    title = "No such architecture"


class InvalidArchitectureOptions(ArchitectureError):
    """Options the architecture does not take, or values beyond their bounds."""

    code = "invalid-architecture-options"
    title = "The architecture does not take these options"


class ArchitectureRequired(ArchitectureError):
    """A bare state dict says nothing about its network."""

    code = "architecture-required"
    title = "A state dict needs an architecture"


class ArchitectureNotAccepted(ArchitectureError):
    """An ONNX file already says everything about its network."""

    code = "architecture-not-accepted"
    title = "This file needs no architecture"


class GraphError(MicronetError):
    """The network cannot become, or stay, a graph."""

    code = "graph"
    title = "The network cannot be made into a graph"


class CaptureFailed(GraphError):
    """The module could not be followed: it is no fixed sequence of operations for any number of images."""

    code = "capture-failed"
    title = "The network could not be captured"


class UnknownOperation(GraphError):
    """No rule says what the operation costs; a silent zero would be a lie."""

    code = "unknown-operation"
    title = "An operation without a rule"


class AlreadyQuantized(GraphError):
    """Bit widths were asked for, as they are by default, and the graph brings its own: score it as it is, with `bits`
    null (`--unquantized`)."""

    code = "already-quantized"
    title = "The network is already quantized"


class NotWritable(GraphError):
    """Something in the graph that standard ONNX has no words for, or none that keep what it costs."""

    code = "not-writable"
    title = "The network cannot be written as ONNX"


class ImagesMix(GraphError):
    """The answer for one image depends on the others in its batch."""

    code = "images-mix"
    title = "The network mixes images"


class SettingsError(MicronetError):
    """Settings that contradict each other or the file."""

    code = "settings"
    title = "The settings cannot be used"


class DataError(MicronetError):
    """The images cannot be used."""

    code = "data"
    title = "The data set cannot be used"


class UnknownTrack(DataError):
    """No track of that name. The message names the nearest."""

    code = "unknown-track"
    title = "No such track"


class DatasetMissing(DataError):
    """The files of the data set are not where they should be: whoever runs the server can put them there."""

    code = "dataset-missing"
    title = "The data set is not here"
    yours = False


class DatasetCorrupt(DataError):
    """The files of the data set are there and wrong."""

    code = "dataset-corrupt"
    title = "The data set is damaged"
    yours = False


class NumericalError(MicronetError):
    """The network gives NaN or infinity."""

    code = "not-finite-output"
    title = "The network's output is not finite"


class Paused(Exception):
    """A computation stopped where it can go on from: its journal has all of it."""
