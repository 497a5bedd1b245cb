"""Fine-tuning jobs through the official client."""

import base64
import csv
import io
from types import SimpleNamespace

import openai
import pytest

MESSAGES = ["Created fine-tuning job: ", "Validating training file: ", "Files validated, moving job to queued state",
            "Fine-tuning job started", "Checkpoint created at step ", "New fine-tuned model created: ft:",
            "The job has successfully completed"]
MOCK_ALONE = pytest.mark.parametrize("server", ["mock"], indirect=True)  # what does not depend on the engine


def test_a_finished_job_shows_what_was_trained_and_how(client, job, base):
    assert job.object == "fine_tuning.job" and job.id.startswith("ftjob-")
    assert job.fine_tuned_model.startswith(f"ft:{base}:local:colours:") and len(job.fine_tuned_model.rsplit(":", 1)[1]) == 8
    assert job.method.supervised.hyperparameters.n_epochs == 6 and job.hyperparameters.batch_size == 8
    assert job.hyperparameters.learning_rate_multiplier == 0.1, "auto is resolved and reported"
    [queued] = [event for event in client.fine_tuning.jobs.list_events(job.id, limit=100) if "hyperparameters" in event.data]
    assert queued.data["hyperparameters"] == {"n_epochs": 6, "batch_size": 8, "learning_rate_multiplier": 0.1}
    assert job.trained_tokens > 48 * 6 and job.finished_at >= job.created_at and job.seed == 7
    assert job.metadata == {"course": "colours"} and job.error is None and job.estimated_finish is None


def test_events_tell_the_story_that_people_know_oldest_last(client, job):
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=100))
    told = [event.message for event in reversed(events)]
    positions = [next(i for i, message in enumerate(told) if message.startswith(start)) for start in MESSAGES]
    assert positions == sorted(positions)
    steps = [event for event in events if event.type == "metrics"]
    assert len(steps) == 36 and sorted(event.data["step"] for event in steps) == list(range(1, 37))
    assert all(event.data["total_steps"] == 36 and event.data["train_loss"] >= 0 for event in steps)
    assert {"full_valid_loss", "full_valid_mean_token_accuracy"} <= set(steps[0].data), "the last step saw all of the validation file"


def test_paging_through_events_neither_loses_nor_repeats_one(client, job):
    whole = [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    pages = [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=3)]
    assert pages == whole and len(set(whole)) == len(whole)


def test_the_result_file_has_a_row_for_each_step(client, job):
    content = base64.b64decode(client.files.content(job.result_files[0]).read()).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert list(rows[0]) == ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"]
    assert [int(row["step"]) for row in rows] == list(range(1, 37))
    assert all(0 <= float(row["train_accuracy"]) <= 1 for row in rows)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert all(rows[last]["valid_loss"] for last in range(5, 36, 6)), "validated at the end of each epoch"


def test_the_last_three_epochs_leave_checkpoints_that_answer(client, job):
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert [checkpoint.step_number for checkpoint in checkpoints] == [36, 30, 24]
    for checkpoint in checkpoints:
        assert checkpoint.fine_tuned_model_checkpoint == f"{job.fine_tuned_model}:ckpt-step-{checkpoint.step_number}"
        assert checkpoint.metrics.full_valid_loss is not None and checkpoint.metrics.step == checkpoint.step_number
        answer = client.completions.create(model=checkpoint.fine_tuned_model_checkpoint, prompt="ruby number 12\n\n###\n\n", max_tokens=3)
        assert answer.choices[0].text


def test_the_fine_tuned_model_has_learnt_the_task(client, job):
    answer = client.completions.create(model=job.fine_tuned_model, prompt=["moss number 12\n\n###\n\n", "sky number 12\n\n###\n\n"],
                                       max_tokens=4, temperature=0, stop="\n")
    assert [choice.text for choice in answer.choices] == [" green", " blue"]


@pytest.fixture(scope="session")
def train_on(client, tools):
    """Train a model further on two steps an epoch; the job that ended."""
    file = tools.upload(client, tools.jsonl(tools.colour_rows(12)))

    def train(model, epochs):
        made = client.fine_tuning.jobs.create(model=model, training_file=file.id, suffix="line", hyperparameters={"n_epochs": epochs})
        return tools.finished(client, made.id)
    return train


@pytest.fixture(scope="session")
def second(client, job, train_on):
    """A job that went on from the model of the first, and what that model was when it was new."""
    ended = train_on(job.fine_tuned_model, 2)
    return SimpleNamespace(job=ended, model=client.models.retrieve(ended.fine_tuned_model))


def test_training_goes_on_from_a_fine_tuned_model(client, job, second):
    ended = second.job
    assert ended.status == "succeeded" and ended.model == job.fine_tuned_model
    first = next(event for event in client.fine_tuning.jobs.list_events(ended.id, limit=100) if event.data.get("step") == 1)
    fresh = [event for event in client.fine_tuning.jobs.list_events(job.id, limit=100) if event.data.get("step") == 1]
    assert first.data["train_loss"] < fresh[0].data["train_loss"], "it starts from what was learnt"
    assert ended.lineage == second.model.lineage == [job.model, job.fine_tuned_model]


def test_a_third_generation_from_a_checkpoint_outlives_those_before_it(client, job, base, second, train_on):
    checkpoint = list(client.fine_tuning.jobs.checkpoints.list(second.job.id))[-1].fine_tuned_model_checkpoint
    assert checkpoint == f"{second.job.fine_tuned_model}:ckpt-step-2"
    third = train_on(checkpoint, 1)
    assert third.status == "succeeded" and third.fine_tuned_model.startswith(f"ft:{base}:local:line:")
    for model in (second.job.fine_tuned_model, checkpoint):
        client.models.delete(model)
    shown = client.models.retrieve(third.fine_tuned_model)
    assert (shown.parent, shown.root, shown.lineage) == (checkpoint, base, [base, job.fine_tuned_model, checkpoint])
    assert client.fine_tuning.jobs.retrieve(third.id).lineage == shown.lineage
    answer = client.completions.create(model=third.fine_tuned_model, prompt="moss number 1\n\n###\n\n", max_tokens=4, temperature=0, stop="\n")
    assert answer.choices[0].text == " green", "what the first generation learnt, the third still knows"
    with pytest.raises(openai.NotFoundError, match="or a fine-tuned model of your own"):
        train_on(checkpoint, 1)


@pytest.fixture(scope="module")
def slow(make_shared_server):
    """A client of a server whose steps take a tenth of a second: jobs can be met while they run and wait."""
    with make_shared_server(environment={"LOCAL_API_MOCK_STEP_SECONDS": "0.1"}).start().client() as client:
        yield client


@pytest.fixture(scope="module")
def create(slow, tools):
    """Create a job of so many epochs of five steps; its id."""
    base, file = slow.models.list().data[0].id, tools.upload(slow, tools.jsonl(tools.colour_rows(40)))

    def create(epochs, model=base):
        return slow.fine_tuning.jobs.create(model=model, training_file=file.id, hyperparameters={"n_epochs": epochs}).id
    return create


def test_a_model_that_is_deleted_while_a_job_waits_to_continue_from_it_is_still_its_start(slow, create, tools):
    parent = tools.finished(slow, create(1)).fine_tuned_model
    running, waiting = create(50), create(1, parent)
    tools.wait_until(lambda: slow.fine_tuning.jobs.retrieve(waiting).status == "queued", what="its place in the queue")
    slow.models.delete(parent)
    slow.fine_tuning.jobs.cancel(running)
    ended = tools.finished(slow, waiting)
    assert ended.status == "succeeded" and ended.lineage == ["mock-base", parent]
    [first] = [event for event in slow.fine_tuning.jobs.list_events(waiting) if event.data.get("step") == 1]
    assert first.data["train_mean_token_accuracy"] == 1, "it starts from what was learnt"


def test_the_queue_is_seen_and_goes_in_order(slow, create, tools):
    running = create(50)
    tools.wait_until(lambda: slow.fine_tuning.jobs.retrieve(running).status == "running", what="the first job")
    waiting = [create(1) for _ in range(3)]

    def positions():
        return [slow.fine_tuning.jobs.retrieve(job_id).queue_position for job_id in waiting]
    tools.wait_until(lambda: positions() == [1, 2, 3], what="three places in the queue")
    told = [event.data["queue_number"] for job_id in waiting for event in slow.fine_tuning.jobs.list_events(job_id) if "queue_number" in event.data]
    assert told == [1, 2, 3]
    slow.fine_tuning.jobs.cancel(waiting[1])
    assert positions() == [1, None, 2]
    slow.fine_tuning.jobs.cancel(running)
    first, second = (tools.finished(slow, waiting[place]) for place in (0, 2))
    assert (first.status, second.status, first.queue_position) == ("succeeded", "succeeded", None)
    [started] = [event for event in slow.fine_tuning.jobs.list_events(second.id) if event.message == "Fine-tuning job started"]
    assert started.created_at >= first.finished_at


@MOCK_ALONE
def test_jobs_are_listed_newest_first_and_by_metadata(client, job, base, tools):
    file = tools.upload(client, tools.jsonl(tools.colour_rows(12)))
    other = client.fine_tuning.jobs.create(model=base, training_file=file.id, hyperparameters={"n_epochs": 50})
    listed = [found.id for found in client.fine_tuning.jobs.list()]
    assert listed.index(other.id) < listed.index(job.id)
    assert [found.id for found in client.fine_tuning.jobs.list(metadata={"course": "colours"})] == [job.id]
    page = client.fine_tuning.jobs.list(limit=1)
    assert len(page.data) == 1 and page.has_more
    client.fine_tuning.jobs.cancel(other.id)


@MOCK_ALONE
@pytest.mark.parametrize(("change", "param"), [
    ({"model": "no-such-model"}, "model"),
    ({"training_file": "file-nothere"}, "training_file"),
    ({"suffix": "x" * 65}, "suffix"),
    ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
    ({"hyperparameters": {"batch_size": 0}}, "hyperparameters.batch_size"),
    ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs"),
    ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
    ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"batch_size": 257}}}},
     "method.supervised.hyperparameters.batch_size"),
    ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"epochs": 2}}}},
     "method.supervised.hyperparameters.epochs"),
    ({"method": {"type": "reinforcement"}}, "method.type"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations"),
    ({"extra_body": {"colour": "red"}}, "colour"),
    ({"seed": -1}, "seed"),
])
def test_what_cannot_be_trained_is_refused_naming_the_field(client, job, base, change, param):
    with pytest.raises(openai.APIStatusError) as refusal:
        client.fine_tuning.jobs.create(**{"model": base, "training_file": job.training_file, **change})
    assert refusal.value.status_code in (400, 404)
    assert refusal.value.body["param"] == param and refusal.value.body["message"]


def test_a_job_of_nobody_is_not_found(client):
    for call in (client.fine_tuning.jobs.retrieve, client.fine_tuning.jobs.cancel, client.fine_tuning.jobs.pause,
                 client.fine_tuning.jobs.resume, client.fine_tuning.jobs.list_events, client.fine_tuning.jobs.checkpoints.list):
        with pytest.raises(openai.NotFoundError, match="Could not find fine-tuning job: ftjob-nothere"):
            call("ftjob-nothere")


def test_a_job_that_ended_cannot_be_cancelled(client, job):
    with pytest.raises(openai.ConflictError, match="is succeeded"):
        client.fine_tuning.jobs.cancel(job.id)


@pytest.fixture
def results(client, job, base, tools):
    """The result file of the same job once more, with a seed."""
    def results(seed: int) -> bytes:
        again = client.fine_tuning.jobs.create(model=base, training_file=job.training_file, validation_file=job.validation_file,
                                               seed=seed, hyperparameters={"n_epochs": 6, "batch_size": 8})
        return client.files.content(tools.finished(client, again.id).result_files[0]).read()
    return results


def test_the_same_seed_gives_the_same_result_file(client, job, results):
    assert results(7) == client.files.content(job.result_files[0]).read()


@MOCK_ALONE  # of the real engine tests/local_api/engines/lora/test_trainer.py asks it
def test_another_seed_gives_another_result_file(client, job, results):
    assert results(8) != client.files.content(job.result_files[0]).read()
