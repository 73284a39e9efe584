"""What a counting rule sees, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from micronet.analysis.shapes import Shapes
from micronet.graph.ir import Argument, Graph, Node, Ref


@dataclass(frozen=True, slots=True)
class Operations:
    """Scalar operations of one node for one image, parted by what they read.

    multiplications, additions              read the node's own inputs, and are as wide as these
    inner_multiplications, inner_additions  read values the node makes on its way (a sum, an exponential), which
                                            nobody quantizes: accumulator width
    """

    multiplications: int = 0
    additions: int = 0
    inner_multiplications: int = 0
    inner_additions: int = 0

    @property
    def all_multiplications(self) -> int:
        """Multiplications of either kind."""
        return self.multiplications + self.inner_multiplications

    @property
    def all_additions(self) -> int:
        """Additions of either kind."""
        return self.additions + self.inner_additions

    def times(self, count: int) -> "Operations":
        """The same for `count` elements."""
        return Operations(
            self.multiplications * count,
            self.additions * count,
            self.inner_multiplications * count,
            self.inner_additions * count,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One node among its graph's facts: what a rule needs to say what the node costs."""

    graph: Graph
    shapes: Shapes
    node: Node

    def argument(self, index: int) -> Argument:
        """Argument at `index` of the operation's signature, or its default."""
        return self.node.argument(index)

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of the tensor given as argument `index`; () for a number."""
        argument = self.argument(index)
        return self.shapes.of.get(argument.name, ()) if isinstance(argument, Ref) else ()

    def weight(self, index: int) -> Tensor | None:
        """The constant tensor given as argument `index`, or None where a value flows in."""
        return self.graph.weight(self.argument(index))

    @property
    def outputs(self) -> int:
        """Elements of the node's result for one image."""
        return self.shapes.elements(self.node.name)


Rule = Callable[[Call], Operations]
