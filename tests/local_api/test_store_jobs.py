"""Jobs as rows: every transition, claims, the queue's order."""

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from local_api.errors import Conflict, NotFound
from local_api.store import Store
from local_api.store.jobs import ENDED, TRANSITIONS, ClaimLost

LEGAL = {
    ("validating_files", "queued"), ("validating_files", "paused"), ("validating_files", "failed"), ("validating_files", "cancelled"),
    ("queued", "running"), ("queued", "paused"), ("queued", "failed"), ("queued", "cancelled"),
    ("running", "queued"), ("running", "paused"), ("running", "succeeded"), ("running", "failed"), ("running", "cancelled"),
    ("paused", "validating_files"), ("paused", "queued"), ("paused", "cancelled"),
}
STATUSES = sorted(TRANSITIONS)


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_job_goes_only_where_it_may_go(store, make_job, clock, before, after):
    job = make_job(before)
    clock.now += 5
    if (before, after) not in LEGAL:
        with pytest.raises(Conflict, match=f"is {before}: it cannot become {after}") as refusal:
            store.jobs.move(job["id"], after)
        assert refusal.value.code == "invalid_job_status"
        assert dict(store.jobs.get("default", job["id"])) == dict(job)
        return
    moved = store.jobs.move(job["id"], after)
    assert moved["status"] == after
    assert moved["finished_at"] == (int(clock.now) if after in ENDED else None)
    assert moved["claim"] is None or after == "running"
    assert moved["queued_at"] == (clock.now if after == "queued" else job["queued_at"])


def test_statuses_that_lead_nowhere_are_the_ends():
    assert {"succeeded", "failed", "cancelled"} == ENDED


def test_a_new_job_is_validated_first(store, make_job, clock):
    job = make_job(metadata={"a": "b"})
    assert (job["status"], job["created_at"], job["claim"], job["crashes"]) == ("validating_files", int(clock.now), None, 0)
    assert job["id"].startswith("ftjob-") and json.loads(job["metadata"]) == {"a": "b"}


def test_a_move_is_meant_for_one_status_alone_where_it_says_so(store, make_job):
    job = make_job("running")
    with pytest.raises(Conflict, match="is running"):
        store.jobs.move(job["id"], "queued", expected="paused")
    assert store.jobs.move(job["id"], "queued", expected="running")["status"] == "queued"


def test_columns_change_together_with_the_status_or_not_at_all(store, make_job):
    job = make_job("running")
    failed = store.jobs.move(job["id"], "failed", error={"code": "x", "message": "ä", "param": None})
    assert json.loads(failed["error"]) == {"code": "x", "message": "ä", "param": None}
    with pytest.raises(Conflict):
        store.jobs.move(job["id"], "running", fine_tuned_model="m")
    assert store.jobs.get("default", job["id"])["fine_tuned_model"] is None


def test_a_job_of_another_project_is_not_found(store, make_job):
    job = make_job(project="other")
    assert store.jobs.get("other", job["id"])["id"] == job["id"]
    with pytest.raises(NotFound, match=f"Could not find fine-tuning job: {job['id']}"):
        store.jobs.get("default", job["id"])


def test_the_queue_of_one_project_is_first_come_first_served(store, make_job, clock):
    jobs = []
    for _ in range(3):
        jobs.append(make_job("queued"))
        clock.now += 1
    claimed = [store.jobs.claim() for _ in range(3)]
    assert [job["id"] for job in claimed] == [job["id"] for job in jobs]
    assert all(job["status"] == "running" for job in claimed) and len({job["claim"] for job in claimed}) == 3
    assert store.jobs.claim() is None


def turns(store):
    """The projects of the queued jobs, in the order in which they are claimed; each place is as it was said before."""
    order = []
    while any(waiting := store.db.rows("select * from jobs where status = 'queued'")):
        first = next(job["id"] for job in waiting if store.jobs.ahead(job) == 0)
        job = store.jobs.claim()
        assert job["id"] == first
        order.append(job["project"])
        store.jobs.move(job["id"], "succeeded")
    return order


def test_projects_take_turns_whoever_has_more_or_came_first(store, make_job, clock):
    for project in ("ann", "ann", "ann", "bob", "bob", "cem"):
        make_job("queued", project=project)
        clock.now -= 100  # no clock has a say in it
    assert turns(store) == ["ann", "bob", "cem", "ann", "bob", "ann"]


def test_who_comes_late_waits_for_no_more_than_one_job_of_each_other(store, make_job):
    for _ in range(4):
        make_job("queued", project="ann")
    for _ in range(2):
        store.jobs.move(store.jobs.claim()["id"], "succeeded")
    for project in ("bob", "bob", "ann"):
        make_job("queued", project=project)
    assert turns(store) == ["bob", "ann", "bob", "ann", "ann"]


def test_jobs_that_were_cancelled_before_their_turn_cost_none(store, make_job):
    for job in [make_job("queued", project="ann") for _ in range(5)]:
        store.jobs.move(job["id"], "cancelled")
    make_job("queued", project="ann")
    for _ in range(2):
        make_job("queued", project="bob")
    assert turns(store) == ["ann", "bob", "bob"]


def test_a_job_that_was_put_back_goes_on_before_all_others_and_a_resumed_one_waits_its_turn(store, make_job):
    running, other = make_job("running", project="ann"), make_job("queued", project="bob")
    store.jobs.move(running["id"], "queued", claim=running["claim"], queued_at=running["queued_at"])
    assert [store.jobs.ahead(store.jobs.current(job["id"])) for job in (running, other)] == [0, 1]
    again = store.jobs.claim()
    assert again["id"] == running["id"]
    store.jobs.move(again["id"], "paused")
    store.jobs.move(again["id"], "queued")
    assert turns(store) == ["bob", "ann"]


def test_the_queue_is_found_by_its_index_however_long_it_is(store):
    plan = store.db.rows("explain query plan select * from jobs where status = 'queued' order by round, seq limit 1")
    assert all("SCAN" not in row["detail"] and "TEMP B-TREE" not in row["detail"] for row in plan)


def test_jobs_queued_in_the_same_moment_go_by_their_creation(store, make_job):
    jobs = [make_job("queued") for _ in range(3)]
    assert [store.jobs.claim()["id"] for _ in range(3)] == [job["id"] for job in jobs]


def test_a_job_that_is_queued_again_keeps_its_turn_and_its_start(store, make_job, clock):
    first = make_job("running")
    clock.now += 10
    make_job("queued")
    store.jobs.move(first["id"], "queued", claim=first["claim"], queued_at=first["queued_at"])
    again = store.jobs.claim()
    assert again["id"] == first["id"] and again["claim"] != first["claim"]
    assert again["started_at"] == first["started_at"] == clock.now - 10


def test_two_servers_never_claim_the_same_job(store, make_job, clock):
    made = {make_job("queued")["id"] for _ in range(4)}
    other = Store(store.data_dir, clock=clock)
    claimed = [job["id"] for _ in range(3) for jobs in (store.jobs, other.jobs) if (job := jobs.claim())]
    other.close()
    assert sorted(claimed) == sorted(made)


@pytest.mark.parametrize("taken", ["cancelled", "paused", "queued", "claimed anew", "never its own"])
def test_a_process_whose_job_was_taken_from_it_writes_nothing(store, make_job, taken):
    job = make_job("running")
    claim = job["claim"] if taken != "never its own" else "f" * 32
    if taken == "claimed anew":
        store.jobs.move(job["id"], "queued")
        store.jobs.claim()
    elif taken != "never its own":
        store.jobs.move(job["id"], taken)
    before = dict(store.jobs.get("default", job["id"]))
    with pytest.raises(ClaimLost):
        store.jobs.check_claim(job["id"], claim)
    for status in ("succeeded", "failed", "queued"):
        with pytest.raises(ClaimLost):
            store.jobs.move(job["id"], status, claim=claim, fine_tuned_model="m")
    assert dict(store.jobs.get("default", job["id"])) == before


def test_the_holder_of_the_claim_writes(store, make_job):
    job = make_job("running")
    store.jobs.check_claim(job["id"], job["claim"])
    done = store.jobs.move(job["id"], "succeeded", claim=job["claim"], fine_tuned_model="m", trained_tokens=5)
    assert (done["fine_tuned_model"], done["trained_tokens"], done["claim"]) == ("m", 5, None)


def test_work_that_waits_for_nobody_is_counted(store, make_job):
    for status in STATUSES:
        make_job(status)
    assert store.jobs.unfinished() == 3


def test_a_list_has_ones_own_jobs_newest_first(store, make_job):
    jobs = [make_job()["id"] for _ in range(3)]
    make_job(project="other")
    rows, more = store.jobs.page("default", metadata=None, limit=2, after=None)
    assert ([row["id"] for row in rows], more) == (jobs[:0:-1], True)
    rows, more = store.jobs.page("default", metadata=None, limit=2, after=rows[-1]["id"])
    assert ([row["id"] for row in rows], more) == (jobs[:1], False)


def test_a_list_by_metadata_has_jobs_with_all_of_the_pairs(store, make_job):
    bare, one, two = make_job(), make_job(metadata={"a": "1"}), make_job(metadata={"a": "1", "b.c": 'say "x"'})

    def listed(metadata):
        return {row["id"] for row in store.jobs.page("default", metadata=metadata, limit=9, after=None)[0]}
    assert listed(None) == {bare["id"], one["id"], two["id"]} and listed({}) == {bare["id"]}
    assert listed({"a": "1"}) == {one["id"], two["id"]} and listed({"a": "1", "b.c": 'say "x"'}) == {two["id"]}
    assert listed({"a": "2"}) == listed({"b": "1"}) == set()


def test_crashes_are_remembered(store, make_job):
    job = make_job("running")
    store.jobs.note_crash(job["id"], 2)
    assert store.jobs.get("default", job["id"])["crashes"] == 2


def test_whatever_people_and_processes_do_a_job_has_one_owner(store, make_job, clock):
    """Random walks: whoever moves, claims or writes with an old claim, rows stay what the rules say."""
    class Walk(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.status, self.claims, self.queue = {}, {}, []

        def note(self, job, after):
            if self.status[job] == "queued":
                self.queue.remove(job)
            if after == "queued":
                self.queue.append(job)
            self.status[job] = after

        @precondition(lambda self: len(self.status) < 4)
        @rule()
        def create(self):
            self.status[make_job()["id"]] = "validating_files"

        @precondition(lambda self: self.status)
        @rule(data=st.data(), after=st.sampled_from(STATUSES), token=st.sampled_from(["none", "own", "old"]))
        def move(self, data, after, token):
            job = data.draw(st.sampled_from(sorted(self.status)))
            owned = self.status[job] == "running" and job in self.claims
            claim = {"none": None, "own": self.claims.get(job), "old": "old"}[token]
            clock.now += 1
            try:
                store.jobs.move(job, after, claim=claim)
            except ClaimLost:
                assert token == "old" or not owned
            except Conflict:
                assert (self.status[job], after) not in LEGAL
            else:
                assert (self.status[job], after) in LEGAL and (claim is None or owned)
                self.claims.pop(job, None)
                self.note(job, after)

        @rule()
        def claim(self):
            clock.now += 1
            claimed = store.jobs.claim()
            assert (claimed and claimed["id"]) == (self.queue[0] if self.queue else None)
            if claimed:
                self.note(claimed["id"], "running")
                self.claims[claimed["id"]] = claimed["claim"]

        @invariant()
        def rows_are_as_the_rules_say(self):
            for job, status in self.status.items():
                row = store.jobs.get("default", job)
                assert row["status"] == status and row["claim"] == self.claims.get(job)
                assert (row["finished_at"] is not None) == (status in ENDED)

        def teardown(self):
            for job, status in self.status.items():
                if status not in ENDED:
                    store.jobs.move(job, "cancelled")

    run_state_machine_as_test(Walk, settings=settings(max_examples=25, stateful_step_count=20))
