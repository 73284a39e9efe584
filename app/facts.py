"""Any result as facts for people: a name and a text each."""

from collections.abc import Iterator

from micronet.contract import Accuracy, ArtifactFile, Value

_SHOWN_DEPTH = 2


def facts(value: Value, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Its numbers, words, accuracies and files, those of its parts too; of longer lists, how many."""
    for name in type(value).model_fields:
        match getattr(value, name):
            case Accuracy() as answers:
                yield name, f"{answers.correct:,} of {answers.total:,} correct = {answers.top1:.2%} top-1"
            case ArtifactFile() as file:
                yield name, f"{file.name}  {file.size:,} bytes  {file.sha256[:16]}"
            case bool() | str() as word:
                yield name, str(word)
            case int() as number:
                yield name, f"{number:,}"
            case float() as number:
                yield name, f"{number:,.6g}"
            case tuple() as items if items and name != "warnings":
                yield name, f"{len(items):,}"
            case Value() as part if depth < _SHOWN_DEPTH and name != "scorer":
                yield from ((f"{name} {inner}", text) for inner, text in facts(part, depth + 1))
