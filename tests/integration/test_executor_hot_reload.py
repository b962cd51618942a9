"""The executor: an edit is live in the next invocation."""

from tests.integration.conftest import Bench


def test_edited_function_runs_at_once(bench: Bench) -> None:
    """The invocation after an edit runs the new code."""
    environment = bench.start("def handler(event, context): return 'before'")
    before = bench.invoke(environment).value

    bench.write("def handler(event, context): return 'after it'")
    after = bench.invoke(environment).value

    assert (before, after) == ("before", "after it")


def test_edit_of_the_same_size_runs_at_once(bench: Bench) -> None:
    """Two versions of one size, written within a second, are distinguished, though their bytecode is not."""
    environment = bench.start("import words\ndef handler(event, context): return words.word")
    words = []
    for word in ("one", "two", "six"):
        bench.write(f"word = {word!r}", "task/words.py")
        words.append(bench.invoke(environment).value)

    assert words == ["one", "two", "six"]


def test_unchanged_function_keeps_its_process(bench: Bench) -> None:
    """Bytecode that the function's own import writes is no edit."""
    environment = bench.start("import os, other\ndef handler(event, context): return os.getpid()")
    bench.write("", "task/other.py")
    first = bench.invoke(environment).value

    assert bench.invoke(environment).value == first


def test_edited_layer_runs_at_once(bench: Bench) -> None:
    """An edit in a package that a layer links to is live as well."""
    layer = bench.folder / "layer"
    bench.write("word = 'before'", "source/words/__init__.py")
    (layer / "python").mkdir(parents=True)
    (layer / "python/installed-1.dist-info").mkdir()
    (layer / "python/words").symlink_to(bench.folder / "source/words")
    environment = bench.start(
        "import words\ndef handler(event, context): return words.word", layers=[layer], watched=[bench.task, layer]
    )
    before = bench.invoke(environment).value

    bench.write("word = 'after it'", "source/words/__init__.py")
    after = bench.invoke(environment).value

    assert (before, after) == ("before", "after it")


def test_new_module_runs_at_once(bench: Bench) -> None:
    """A file that comes is an edit too."""
    environment = bench.start("""
        try:
            import extra
        except ImportError:
            extra = None
        def handler(event, context):
            return extra is not None
    """)
    before = bench.invoke(environment).value

    bench.write("", "task/extra.py")
    after = bench.invoke(environment).value

    assert (before, after) == (False, True)


def test_mistake_shows_and_its_correction_runs(bench: Bench) -> None:
    """A syntax error is the answer until it is corrected."""
    environment = bench.start("def handler(event, context): return 'fine'")

    bench.write("def handler(event, context) return 'broken'")
    broken = bench.invoke(environment).value
    bench.write("def handler(event, context): return 'fine again'")
    fine = bench.invoke(environment).value

    assert broken["errorType"] == "Runtime.UserCodeSyntaxError"
    assert fine == "fine again"
