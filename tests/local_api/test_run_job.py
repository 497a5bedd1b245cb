"""One run of one job in the child process, on a scripted trainer: what is registered, and what a crash must not spoil."""

import base64
import dataclasses
import errno
import json
import sqlite3

import pytest

from local_api import jobs as rules
from local_api.engines.protocols import CheckpointReport, EngineError, Hyperparameters, PromptCompletion, StepReport
from local_api.worker.results import results_csv
from local_api.worker.run_job import INTERNAL_ERROR, JobRun
from local_api.worker.validation import validate_job

STORY = ["Fine-tuning job started", "Step 1/2: training loss=1.50", "Step 2/2: training loss=1.50, validation loss=0.25"]


def step(number, total=2, **overrides):
    return StepReport(**{"step": number, "total_steps": total, "epoch": 1, "train_loss": 1.5, "train_accuracy": 0.5,
                         "train_sequence_accuracy": 0.25, "elapsed_tokens": 10 * number, "elapsed_examples": 5 * number,
                         "learning_rate": 0.001, **overrides})


LAST = step(2, valid_loss=0.9, full_valid_loss=0.25, full_valid_accuracy=0.75)


@pytest.fixture
def job(make_job):
    return make_job("running", suffix="mine")


@pytest.fixture
def run(store, engine):
    """Train a claimed job by a script; its row afterwards."""
    def run(job, *reports):
        engine.reports = reports
        JobRun(store, engine, job, "school").run()
        return store.jobs.get("default", job["id"])
    return run


@pytest.fixture
def checkpoint(store, job):
    """A checkpoint at the end of an epoch, as an engine leaves it in its working folder."""
    def make(report=LAST, weights="w"):
        folder = store.work_dir(job["id"]) / f"epoch-{report.step}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter").write_text(f"{weights} {report.step}")
        return CheckpointReport(report.epoch, report.step, folder, report)
    return make


@pytest.fixture
def again(store):
    """The job under a new claim, as after a crash."""
    def again(job):
        store.jobs.move(job["id"], "queued", claim=job["claim"])
        return store.jobs.claim()
    return again


def error_of(job):
    return json.loads(job["error"])


def test_a_run_to_the_end_leaves_a_model_checkpoints_and_a_result_file(store, run, job, checkpoint, messages):
    done = run(job, step(1), LAST, checkpoint())
    name = done["fine_tuned_model"]
    assert done["status"] == "succeeded" and done["trained_tokens"] == 20 and done["claim"] is None and done["finished_at"]
    assert name.startswith("ft:tiny:school:mine:")
    assert messages(job["id"])[1:] == [*STORY, f"Checkpoint created at step 2 with Snapshot ID: {name}:ckpt-step-2",
                                       f"New fine-tuned model created: {name}", "The job has successfully completed"]
    model, kept = store.models.get("default", name), store.models.get("default", f"{name}:ckpt-step-2")
    assert (model["kind"], kept["kind"], model["parent"]) == ("model", "checkpoint", "tiny") and model["adapter"] == kept["adapter"]
    assert (store.contents.adapter(model["adapter"]) / "adapter").read_text() == "w 2"
    assert not store.work_dir(job["id"]).exists()


def test_the_result_file_holds_the_steps(store, run, job, checkpoint):
    done = run(job, step(1), LAST, checkpoint())
    file = store.files.get("default", done["result_file"])
    content = store.contents.file(file["sha256"]).read_bytes()
    assert (file["purpose"], file["bytes"], file["filename"]) == ("fine-tune-results", len(content), "step_metrics.csv")
    assert base64.b64decode(content).decode() == results_csv(store.steps.all(job["id"]))
    assert base64.b64decode(content).decode().splitlines()[2] == "2,1.50000,0.50000,0.25000,0.75000"


def test_figures_are_told_under_their_names_on_the_wire(store, run, job, checkpoint):
    run(job, step(1), LAST, checkpoint())
    rows = [row for row in store.events.page(job["id"], limit=99, after=None)[0] if row["type"] == "metrics"]
    assert [json.loads(row["data"]) for row in reversed(rows)] == [
        {"step": 1, "total_steps": 2, "train_loss": 1.5, "train_mean_token_accuracy": 0.5},
        {"step": 2, "total_steps": 2, "train_loss": 1.5, "train_mean_token_accuracy": 0.5, "valid_loss": 0.9, "full_valid_loss": 0.25,
         "full_valid_mean_token_accuracy": 0.75}]
    assert json.loads(store.checkpoints.last(job["id"])["metrics"]) == {
        "step": 2, "train_loss": 1.5, "train_mean_token_accuracy": 0.5, "valid_loss": 0.9, "full_valid_loss": 0.25,
        "full_valid_mean_token_accuracy": 0.75}


def test_the_engine_gets_what_was_asked_for(store, engine, run, make_job, make_file, rows):
    valid = make_file(rows(1))
    job = make_job("running", validation_file=valid["id"], validation_sha256=valid["sha256"], start_from="a5", seed=11)
    run(job, EngineError("that is all"))
    spec = engine.specs[0]
    assert spec.examples[1] == PromptCompletion("1 ->", " b\n", line=2) and len(spec.examples) == 10 and len(spec.validation) == 1
    assert spec.hyperparameters == Hyperparameters(n_epochs=1, batch_size=5, learning_rate_multiplier=0.1)
    assert (spec.seed, spec.method, spec.base_model) == (11, "supervised", "tiny")
    assert spec.start_from == store.contents.adapter("a5") and spec.work_dir == store.work_dir(job["id"])


@pytest.mark.parametrize(("asked", "got"), [
    ({}, (25, 8, 0.1, 0.1)),
    ({"n_epochs": 2}, (2, 8, 0.1, 0.1)),
    ({"batch_size": 3}, (18, 3, 0.1, 0.1)),
    ({"learning_rate_multiplier": 0.02}, (25, 8, 0.02, 0.1)),
    ({"beta": 0.5}, (25, 8, 0.1, 0.5)),
])
def test_each_hyperparameter_comes_from_the_request_to_the_engine_and_is_shown(here, store, engine, run, make_file, monkeypatch, asked, got):
    method = "dpo" if "beta" in asked else "supervised"
    say = {role: [{"role": role, "content": "x"}] for role in ("user", "assistant")}
    pair = {"input": {"messages": say["user"]}, "preferred_output": say["assistant"], "non_preferred_output": say["assistant"]}
    file = make_file((json.dumps(pair) + "\n").encode() * 10 if method == "dpo" else None)
    monkeypatch.setattr(engine.words, "n_training_tokens", lambda example: 1)
    body = {"model": "tiny", "training_file": file["id"], "method": {"type": method, method: {"hyperparameters": asked}}}
    job = rules.add(store, "default", rules.check(body, store, engine, "default"), seed=4)
    validate_job(store, engine, job)
    told = json.loads(store.events.page(job["id"], limit=1, after=None)[0][0]["data"])["hyperparameters"]
    done = run(store.jobs.claim(), EngineError("enough"))
    names = ("n_epochs", "batch_size", "learning_rate_multiplier", "beta")
    assert dataclasses.asdict(engine.specs[0].hyperparameters) == {**dict(zip(names, got, strict=True)), "prompt_loss_weight": 0.0}
    assert told == rules.shape(here, done)["hyperparameters"] == dict(zip(names, got if method == "dpo" else got[:3], strict=False))
    assert engine.specs[0].seed == 4


def test_what_is_repeated_after_a_crash_is_told_once_and_the_name_stays(store, run, job, checkpoint, again, messages):
    class Killed(BaseException):
        """The process ends here."""
    first = step(1, 4), step(2, 4), checkpoint(step(2, 4)), step(3, 4)
    with pytest.raises(Killed):
        run(job, *first, Killed())
    told = messages(job["id"])
    name = store.checkpoints.last(job["id"])["model"].removesuffix(":ckpt-step-2")
    done = run(again(job), checkpoint(step(2, 4)), step(3, 4), step(4, 4), checkpoint(step(4, 4)))
    assert done["status"] == "succeeded" and done["fine_tuned_model"] == name
    after = messages(job["id"])
    assert after[:len(told)] == told and len(after) == len(set(after))
    assert [report["step"] for report in store.steps.all(job["id"])] == [1, 2, 3, 4]
    assert [row["model"] for row in store.checkpoints.page(job["id"], limit=9, after=None)[0]] == [
        f"{name}:ckpt-step-4", f"{name}:ckpt-step-2"]


def test_a_run_that_was_killed_after_its_last_checkpoint_ends_with_that(store, run, job, checkpoint, again):
    with pytest.raises(KeyboardInterrupt):
        run(job, step(1), LAST, checkpoint(), KeyboardInterrupt())
    done = run(again(job))
    assert done["status"] == "succeeded" and done["trained_tokens"] == 20
    assert store.models.get("default", done["fine_tuned_model"])["adapter"] == store.models.get(
        "default", f"{done['fine_tuned_model']}:ckpt-step-2")["adapter"]


def test_a_new_step_clears_the_count_of_crashes_and_a_repeated_one_does_not(store, run, job, again):
    store.jobs.note_crash(job["id"], 2)
    with pytest.raises(KeyboardInterrupt):
        run(job, step(1), KeyboardInterrupt())
    assert store.jobs.get("default", job["id"])["crashes"] == 0
    store.jobs.note_crash(job["id"], 2)
    with pytest.raises(KeyboardInterrupt):
        run(again(job), step(1), KeyboardInterrupt())
    assert store.jobs.get("default", job["id"])["crashes"] == 2


@pytest.mark.parametrize("taken", ["cancelled", "paused", "queued", "claimed anew"])
@pytest.mark.parametrize("moment", ["before the start", "before a step", "before a checkpoint", "before the end", "before an error"])
def test_a_run_whose_claim_was_lost_writes_nothing_more(store, engine, run, job, checkpoint, messages, moment, taken):
    snapshot = {}

    def lose():
        store.jobs.move(job["id"], "queued" if taken == "claimed anew" else taken)
        if taken == "claimed anew":
            store.jobs.claim()
        (store.work_dir(job["id"])).mkdir(parents=True, exist_ok=True)
        (store.work_dir(job["id"]) / "state").write_text("kept")
        snapshot.update(look())

    def look():
        tables = ("jobs", "events", "steps", "models", "checkpoints", "files")
        return {"rows": [tuple(row) for table in tables for row in store.db.rows(f"select * from {table}")],
                "contents": sorted(path.name for path in (*store.contents.files.iterdir(), *store.contents.adapters.iterdir()))}

    script = {"before the start": [], "before a step": [lose, step(1)], "before a checkpoint": [step(1), LAST, lose, checkpoint()],
              "before the end": [step(1), LAST, checkpoint(), lose], "before an error": [step(1), lose, EngineError("stale")]}[moment]
    if moment == "before the start":
        lose()
    run(job, *script)
    assert look() == snapshot
    assert (store.work_dir(job["id"]) / "state").exists(), "it belongs to whoever goes on with the job"


@pytest.mark.parametrize(("error", "code", "message"), [
    (EngineError("the loss became NaN"), "training_failed", "the loss became NaN"),
    (OSError(errno.ENOSPC, "No space left on device"), "disk_full", "The disk of the local API is full"),
    (ValueError("a secret of the server"), "internal_error", INTERNAL_ERROR),
    (MemoryError(), "internal_error", INTERNAL_ERROR)])
def test_a_failure_is_told_to_the_owner_and_cleaned_up(store, run, job, messages, caplog, error, code, message):
    failed = run(job, step(1), error)
    assert failed["status"] == "failed" and failed["finished_at"] and failed["fine_tuned_model"] is None
    assert error_of(failed)["code"] == code and error_of(failed)["message"].startswith(message)
    assert messages(job["id"])[-1] == f"The job failed: {error_of(failed)['message']}"
    assert not store.work_dir(job["id"]).exists() and store.models.all("default") == []
    assert ("a secret" in caplog.text) == ("a secret" in str(error)), "the log has it, the job does not"


def test_a_disk_that_is_full_when_a_checkpoint_is_kept_leaves_no_half_of_it(store, run, job, checkpoint, monkeypatch):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(store.contents, "keep_adapter", full)
    assert error_of(run(job, step(1), LAST, checkpoint()))["code"] == "disk_full"
    assert store.checkpoints.last(job["id"]) is None and store.models.used() == set()


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), sqlite3.OperationalError("database is locked")])
def test_what_another_process_may_manage_ends_this_one_and_not_the_job(store, run, job, error):
    with pytest.raises(type(error)):
        run(job, step(1), error)
    assert store.jobs.get("default", job["id"])["status"] == "running" and store.work_dir(job["id"]).exists()


def test_training_that_yields_no_checkpoint_has_failed(run, job):
    assert error_of(run(job, step(1), LAST)) == {"code": "training_failed", "message": "training ended without a checkpoint", "param": None}


def test_a_file_that_went_bad_on_the_disk_fails_the_job_with_its_line(store, run, job):
    store.contents.file(job["training_sha256"]).write_bytes(b'{"prompt": "a"}\n')
    assert "line 1" in error_of(run(job))["message"]


def test_adapters_of_dropped_checkpoints_leave_the_disk(store, run, job, checkpoint):
    reports = [report for number in range(1, 6) for report in (step(number, 5), checkpoint(step(number, 5)))]
    run(job, *reports)
    kept = {(folder / "adapter").read_text() for folder in store.contents.adapters.iterdir()}
    assert kept == {"w 3", "w 4", "w 5"}


def test_a_dropped_checkpoint_leaves_an_adapter_that_another_model_has(store, run, job, checkpoint, make_model):
    first = checkpoint(step(1, 4))
    make_model("ft:twin", job_id=job["id"], adapter=store.contents.keep_adapter(first.adapter))
    run(job, step(1, 4), first, *(report for number in (2, 3, 4) for report in (step(number, 4), checkpoint(step(number, 4)))))
    assert store.contents.adapter(store.models.get("default", "ft:twin")["adapter"]).exists()


def test_a_run_that_diverged_still_has_events_that_json_can_hold(store, run, job, checkpoint):
    nan = step(1, 1, train_loss=float("nan"))
    done = run(job, nan, checkpoint(nan))
    assert done["status"] == "succeeded"
    for row in store.events.page(job["id"], limit=99, after=None)[0]:
        json.loads(row["data"] or "{}", parse_constant=pytest.fail)
    json.loads(store.checkpoints.last(job["id"])["metrics"], parse_constant=pytest.fail)


def test_the_old_api_names_its_models_by_the_time_and_never_two_alike(store, run, make_job, checkpoint, clock):
    clock.now = 1_795_359_861.5
    names = []
    for model in ("ada", "ada", "ada:ft-school:first-2026-11-22-15-04-21"):
        job = make_job("running", api="fine-tunes", model=model, suffix="First!")
        folder = store.work_dir(job["id"]) / "epoch"
        folder.mkdir(parents=True)
        (folder / "adapter").write_text("w")
        names.append(run(job, LAST, CheckpointReport(1, 2, folder, LAST))["fine_tuned_model"])
    assert names == [f"ada:ft-school:first-2026-11-22-15-04-2{second}" for second in (1, 2, 3)]
    file = store.files.get("default", store.jobs.get("default", job["id"])["result_file"])
    assert file["filename"] == "compiled_results.csv"
    assert store.contents.file(file["sha256"]).read_text().startswith("step,elapsed_tokens,elapsed_examples,training_loss,")


def test_of_the_probabilities_of_classes_the_figures_are_kept(store, engine, run, make_job, make_file, rows):
    content = rows(5) + rows(5, completion=" c\n")
    valid = make_file(content)
    job = make_job("running", content=content, validation_file=valid["id"], validation_sha256=valid["sha256"],
                   classification={"n_classes": 2, "positive_class": None, "betas": None})
    run(job, step(1), step(2, full_valid_loss=0.5, classified=[0, 5], class_probabilities=[[0.9, 0.1], [0.8, 0.2]]), EngineError("enough"))
    assert [example.completion for example in engine.specs[0].classes] == [" b\n", " c\n"]
    first, last = store.steps.all(job["id"])
    assert "classification" not in first and "class_probabilities" not in last and "classified" not in last
    assert last["classification"]["classification/accuracy"] == 0.5
    told = [json.loads(row["data"]) for row in store.events.page(job["id"], limit=9, after=None)[0] if row["type"] == "metrics"]
    assert told[0]["classification/accuracy"] == 0.5 and "classification/accuracy" not in told[1]
