"""Files of other tools become one record, or an error that says why not; nothing is written then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import AssayError, RecordError, UnknownNameError, UsageError
from assay.importers import import_results as import_step
from assay.importers.import_results import import_results
from assay.records.reported import ReportedRun
from assay.steps.results import load_record
from tests.messages import assert_says
from tests.reports import BATCH_16, MISLABELLED, PURE, RESULT, SAMPLES, TRTEXEC


def perf(folder: Path, batch: int, text: str = BATCH_16) -> Path:
    return put(folder / f"perf_vision_batchsize_{batch}_device_0.txt", text)


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(*files: Path, **said: str) -> pytest.ExceptionInfo[AssayError]:
    out = files[0].parent / "refused.json"
    with pytest.raises(AssayError) as caught:
        import_results(files, set=said, out=out)
    assert not out.exists()
    return caught


def test_every_sample_is_recognised_by_what_it_holds_and_read(tmp_path: Path) -> None:
    found = {}
    for sample in sorted(SAMPLES.iterdir()):
        kind = import_step.kind_of(sample.read_text(encoding="utf-8"))
        assert kind is not None
        found[sample.name] = kind.name
        # A name says nothing of the kind.
        copy = put(tmp_path / "anything.bin", sample.read_bytes())
        out = tmp_path / f"{sample.name}.json"
        assert import_results([copy], out=out) == load_record(out)
    assert len(found) == 13
    assert len(set(found.values())) == 6


def test_one_text_is_of_one_kind_alone() -> None:
    texts = [sample.read_text(encoding="utf-8") for sample in SAMPLES.iterdir()]
    for text in [*texts, BATCH_16, PURE, RESULT]:
        assert sum(kind.recognises(text) for kind in import_step.KINDS) == 1


def test_the_record_stands_beside_the_first_file(tmp_path: Path) -> None:
    log = put(tmp_path / "t4.log", TRTEXEC)
    run = import_results([log], set={"model": "wide_resnet101_2", "name": "T4", "batch": "1"})
    assert (run.name, run.model, run.results[0].batch, run.sources) == ("T4", "wide_resnet101_2", 1, (str(log),))
    assert load_record(tmp_path / "t4.log.assay.json") == run


def test_a_file_has_a_result_each_the_smallest_batch_first(tmp_path: Path) -> None:
    half = BATCH_16.replace("7.47771", "14.9554")
    files = [perf(tmp_path, 16), perf(tmp_path, 8, half)]
    run = import_results(files, set={"dies": "4"}, out=tmp_path / "310.json")
    assert [result.batch for result in run.results] == [8, 16]
    assert run.dies == 4
    assert run.sources == tuple(map(str, files))


def test_an_accuracy_beside_one_batch_size_is_of_it(tmp_path: Path) -> None:
    accuracy = put(tmp_path / "result.json", RESULT)
    run = import_results([accuracy, perf(tmp_path, 16)], set={"dataset": "ImageNet"}, out=tmp_path / "out.json")
    (result,) = run.results
    assert (result.batch, dict(result.top), result.throughput["interface"]) == (16, {1: 78.85, 5: 94.29}, 170.965)
    assert (run.tool, run.images, run.dataset) == ("Ascend benchmark", 50000, "ImageNet")


def test_an_accuracy_beside_several_batch_sizes_is_of_none(tmp_path: Path) -> None:
    half = perf(tmp_path, 8, BATCH_16.replace("7.47771", "14.9554"))
    accuracy = put(tmp_path / "result.json", RESULT)
    run = import_results([half, perf(tmp_path, 16), accuracy], out=tmp_path / "out.json")
    assert [(result.batch, bool(result.top)) for result in run.results] == [(8, False), (16, False), (None, True)]


def test_a_note_of_one_file_says_which(tmp_path: Path) -> None:
    # The guide's own file: batches of 8 under a name that says 16.
    wrong = perf(tmp_path, 16, MISLABELLED)
    assert_says(refused(wrong), wrong.name, "its name says batch 16", "its rates say 8", "set=batch=")
    run = import_results([wrong, put(tmp_path / "result.json", RESULT)], set={"batch": "8"}, out=tmp_path / "out.json")
    assert run.results[0].batch == 8
    assert run.notes == (f"{wrong.stem}: its name says batch 16; its rates and the user say 8",)


def test_files_that_do_not_belong_together_are_refused_by_name(tmp_path: Path) -> None:
    ours, log = perf(tmp_path, 16), put(tmp_path / "t4.log", TRTEXEC)
    result = put(tmp_path / "result.json", RESULT)
    pure = put(tmp_path / "PureInfer_perf_of_wrn_bs4_in_device_0.txt", PURE)
    assert_says(refused(ours, log), str(ours), "Ascend benchmark", str(log), "trtexec")
    assert_says(refused(log, result), str(log), str(result))
    assert_says(refused(ours, perf(tmp_path / "other", 16)), str(ours), "other", "both of batch 16")
    assert_says(refused(ours, pure), "pixels dataset", "synthetic", str(pure))
    assert_says(refused(pure, put(tmp_path / "again.txt", PURE)), "a batch size that they do not say")
    scenarios = [SAMPLES / "loadgen_Offline.txt", SAMPLES / "loadgen_Server.txt"]
    copies = [put(tmp_path / file.name, file.read_bytes()) for file in scenarios]
    assert_says(refused(*copies), "scenario Offline", "Server")


def test_a_damaged_file_is_named_as_it_was_given(tmp_path: Path) -> None:
    """LoadGen calls every summary by one name, so the name alone says nothing."""
    (tmp_path / "offline").mkdir()
    whole = (SAMPLES / "loadgen_Offline.txt").read_text(encoding="utf-8")
    summary = tmp_path / "offline" / "mlperf_log_summary.txt"
    summary.write_text(whole.replace("Samples per second", "Samples"), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        import_results([summary], out=tmp_path / "out.json")
    assert_says(caught, f"{summary}: expected `Samples per second")
    mislabelled = put(tmp_path / "offline" / "perf_vision_batchsize_16_device_0.txt", MISLABELLED.encode())
    with pytest.raises(RecordError) as caught:
        import_results([mislabelled], out=tmp_path / "out.json")
    assert_says(caught, f"{mislabelled}: its name says batch 16")
    assert not (tmp_path / "out.json").exists()


def test_what_a_file_says_is_not_said_otherwise(tmp_path: Path) -> None:
    log = put(tmp_path / "t4.log", (SAMPLES / "trtexec_8601.log").read_bytes())
    for key, value, stated in [
        ("batch", "1", "64"),
        ("precision", "int8", "fp16"),
        ("device", "A10", "Tesla T4"),
        ("input_side", "299", "224"),
        ("pixels", "dataset", "synthetic"),
        ("transfers", "no", "yes"),
    ]:
        assert_says(refused(log, **{key: value}), str(log), f"{key} {stated}", f"the setting says {key} {value}")
    same = {"batch": "64", "precision": "fp16", "transfers": "true", "pixels": "synthetic"}
    assert import_results([log], set=same).precision == "fp16"


@pytest.mark.parametrize("name", ["trtexec_8601.log", "trtexec_times.json", "benchmark_app_b1.log"])
def test_the_dies_of_a_card_are_unknown_until_the_user_says_them(name: str, tmp_path: Path) -> None:
    log = put(tmp_path / name, (SAMPLES / name).read_bytes())
    assert import_results([log]).dies is None
    assert import_results([log], set={"dies": "4"}).dies == 4


def test_what_only_one_of_two_measurements_says_stays_unknown(tmp_path: Path) -> None:
    new = put(tmp_path / "new.log", (SAMPLES / "trtexec_8601.log").read_bytes())
    old = put(tmp_path / "old.log", (SAMPLES / "trtexec_7.log").read_bytes())
    run = import_results([new, old], out=tmp_path / "out.json")
    assert (run.device, run.transfers, run.pixels, run.precision) == (None, None, None, "fp16")
    assert import_results([new, old], set={"device": "Tesla T4"}, out=tmp_path / "out.json").device == "Tesla T4"
    assert_says(refused(new, put(tmp_path / "other.log", old.read_bytes()), device="A10"), str(new), "device A10")


def test_one_batch_size_for_files_of_several_is_refused(tmp_path: Path) -> None:
    files = [perf(tmp_path, 8, BATCH_16.replace("7.47771", "14.9554")), perf(tmp_path, 16)]
    assert_says(refused(*files, batch="16"), "batch 16", files[0].name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch", "0"),
        ("batch", "many"),
        ("dies", "4.0"),
        ("images", "-1"),
        ("input_side", "9999999999"),
        ("precision", "bf16"),
        ("pixels", "real"),
        ("transfers", "maybe"),
        ("name", "a<b"),
        ("model", " "),
        ("device", "a\nb"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_usage_error(key: str, value: str, tmp_path: Path) -> None:
    caught = refused(put(tmp_path / "t4.log", TRTEXEC), **{key: value})
    assert isinstance(caught.value, UsageError)
    assert_says(caught, f"setting {key}=", "give")


def test_an_unknown_key_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    caught = refused(put(tmp_path / "t4.log", TRTEXEC), die="4")
    assert isinstance(caught.value, UnknownNameError)
    assert_says(caught, "'die'", "known: dies", "transfers")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\0\1\2 Throughput", "is binary"),
        (b"hello, world", "known kinds: Ascend benchmark performance file"),
        (b"{}", "known kinds"),
        (BATCH_16.encode()[:100], "five lines"),
    ],
)
def test_what_cannot_be_imported_is_said_in_a_line(content: bytes, said: str, tmp_path: Path) -> None:
    assert_says(refused(put(tmp_path / "some.txt", content)), "some.txt", said)


def test_a_missing_file_a_folder_and_a_record_are_no_results(tmp_path: Path) -> None:
    assert_says(refused(tmp_path / "none.log"), "none.log", "No such file")
    assert_says(refused(put(tmp_path / "folder/x", "x").parent), "folder", "directory")
    log = put(tmp_path / "t4.log", TRTEXEC)
    import_results([log])
    assert_says(refused(tmp_path / "t4.log.assay.json"), "record of assay's own")
    with pytest.raises(UsageError) as caught:
        import_results([log], out=log)
    assert_says(caught, str(log), "-o")
    assert log.read_text(encoding="utf-8") == TRTEXEC


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_step, "LARGEST_FILE", 100)
    log = put(tmp_path / "t4.log", TRTEXEC + "\n" * 100)
    assert_says(refused(log), "t4.log", "larger than 100 B")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_consoles_of_windows_write_other_encodings(encoding: str, tmp_path: Path) -> None:
    log = put(tmp_path / "t4.log", TRTEXEC.replace("\n", "\r\n").encode(encoding))
    assert import_results([log]).results[0].queries == 250.5


SEEDS = [
    *(sample.read_bytes() for sample in sorted(SAMPLES.iterdir())),
    BATCH_16.encode(),
    PURE.encode(),
    RESULT.encode(),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real file of which some parts are cut out, doubled or written over."""
    content = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 300)))
        middle = draw(st.one_of(st.just(content[start:end] * 2), st.binary(max_size=20), st.just(b""), HOSTILE))
        content = content[:start] + middle + content[end:]
    return content


HOSTILE = st.sampled_from(
    [b"1e999", b"nan", b"-1", b"0", b"9" * 5000, b"[" * 3000, b"{}", b"null", b"x", b"\xff", b"\n", b" " * 999, b'"']
)
_NUMBERS: Iterator[int] = itertools.count()


def imported(file: Path, out: Path) -> ReportedRun | AssayError:
    """What comes of a file; any other exception is a fault of a reader."""
    try:
        return import_results([file], out=out)
    except AssayError as error:
        return error


@settings(max_examples=300, deadline=None, database=None)
@given(content=st.one_of(st.binary(max_size=200), damaged()))
def test_any_bytes_give_a_record_or_an_error_of_one_line(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    file = put(folder / f"perf_vision_batchsize_16_device_{next(_NUMBERS)}.txt", content)
    found = imported(file, folder / "out.json")
    if isinstance(found, ReportedRun):
        assert load_record(folder / "out.json") == found
    else:
        assert "\n" not in found.message
        assert file.name in found.message


@pytest.mark.parametrize(
    "unit", [b"1", b" ", b"[", b"min", b"mean = ", b"x", b"1x", b"a[", b":", b"-", b"5.", b",", b"{"]
)
@pytest.mark.parametrize("seed", ["trtexec_8601.log", "benchmark_app_b1.log", "loadgen_Offline.txt"])
def test_a_long_line_is_read_in_time_that_grows_with_it(unit: bytes, seed: str, tmp_path: Path) -> None:
    long = unit * (500_000 // len(unit))
    content = (SAMPLES / seed).read_bytes()
    lines = content.splitlines()
    for prefix in (b"", b"[I] Latency: ", b"Input inference shape", b"    x (node: ", b"nput binding for "):
        put(tmp_path / "long.txt", b"\n".join([*lines[:3], prefix + long, *lines[3:]]))
        found = imported(tmp_path / "long.txt", tmp_path / "out.json")
        assert isinstance(found, ReportedRun) or len(found.message) < 500
