"""The widgets as a learner meets them: in JupyterLab, on the mock engine, with pictures in build/browser/."""

import json
import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

TWO_JOBS = """
from helpers import base_model, connect, job_monitor, upload
client = connect()
rows = [{"prompt": f"thing {n}\\n\\n###\\n\\n", "completion": " red\\n" if n % 2 else " blue\\n"} for n in range(12)]
file = upload(client, rows)
def train(suffix):  # 600 steps: more than two minutes
    return client.fine_tuning.jobs.create(model=base_model(client), training_file=file.id, suffix=suffix,
                                          hyperparameters={"n_epochs": 50, "batch_size": 1})
first, second = train("first"), train("second")
"""
RE_ATTACH = """
from helpers import connect, job_monitor
client = connect()
first = next(job for job in client.fine_tuning.jobs.list() if job.user_provided_suffix == "first")
job_monitor(client, first.id)
"""


def test_jobs_are_watched_cancelled_and_found_again_after_a_restart(open_notebook) -> None:
    page = open_notebook("job_monitor", [TWO_JOBS, "job_monitor(client, first.id, second.id)", "'the kernel ' + 'is free'",
                                         RE_ATTACH])
    page.run(0)
    seen = page.run(1)
    first, second = (seen.locator(".ftc-card").filter(has_text=name) for name in ("first", "second"))
    expect(first.locator(".ftc-status")).to_have_text("running")
    expect(second).to_contain_text("1 job before it in the queue")

    curve = first.locator(".ftc-curve svg")
    expect(curve).to_be_visible()
    drawn = curve.inner_html()
    expect(page.run(2)).to_contain_text("the kernel is free")
    page.page.wait_for_function("([svg, drawn]) => document.querySelector(svg).innerHTML !== drawn",
                                arg=[".ftc-card .ftc-curve svg", drawn])
    page.picture("running", seen)

    second.get_by_role("button", name="Cancel this job").click()
    expect(second.locator(".ftc-status")).to_have_text("cancelled")
    expect(second).to_contain_text("The job was cancelled")
    expect(first.locator(".ftc-status")).to_have_text("running")

    page.restart_kernel()
    again = page.run(3)
    card = again.locator(".ftc-card").filter(has_text="first")
    expect(card.locator(".ftc-status")).to_have_text("running")
    expect(card.locator(".ftc-curve svg")).to_be_visible()
    card.get_by_role("button", name="Cancel this job").click()
    # The widget has gone: what is left is a part of the notebook, and has no buttons.
    expect(again.locator(".ftc-card button")).to_have_count(0)
    expect(again.locator(".ftc-status")).to_have_text("cancelled")
    expect(again.locator(".ftc-curve svg")).to_be_visible()
    page.picture("ended", again)


ONE_MODEL = """
from helpers import PromptFormat, base_model, connect, follow, playground, upload
client, style = connect(), PromptFormat()
answer = "The parcel " + " ".join(f"was seen at stop {n}," for n in range(40)) + " and is on its way."
file = upload(client, [style.row(f"Where is parcel {n}?", answer) for n in range(12)])
job = follow(client, client.fine_tuning.jobs.create(model=base_model(client), training_file=file.id, suffix="parcels",
                                                    hyperparameters={"n_epochs": 12, "batch_size": 12}).id)
"""
SEEN_TEXTS = """(panel) => {
  window.seen = [];
  new MutationObserver(() => {
    const text = panel.querySelector(".ftp-answer .ftp-text");
    if (text) window.seen.push(text.textContent);
  }).observe(panel, {childList: true, subtree: true, characterData: true});
}"""


def test_the_playground_streams_the_answers_of_two_models_side_by_side(open_notebook) -> None:
    page = open_notebook("playground", [ONE_MODEL, "playground(client, style=style, prompt='Where is parcel 3?')"])
    page.run(0)
    seen = page.run(1)
    seen.get_by_role("button", name="Refresh").click()
    expect(seen.get_by_label("Model", exact=True)).to_have_value(re.compile("ft:mock-base:.*parcels"))
    expect(seen.get_by_label("Beside it")).to_have_value("mock-base")
    seen.get_by_label("Max tokens").fill("400")
    answers = seen.locator(".ftp-answers")
    answers.evaluate(SEEN_TEXTS)
    seen.get_by_role("button", name="Ask").click()
    tuned, base = (seen.locator(".ftp-answer").nth(number) for number in range(2))
    expect(tuned).to_contain_text("and is on its way.")
    expect(base).to_contain_text("The mock engine has no language model.")
    expect(seen.get_by_role("button", name="Ask")).to_be_enabled()
    whole = tuned.locator(".ftp-text").inner_text()
    texts = page.page.evaluate("window.seen")
    assert any(0 < len(text) < len(whole) and whole.startswith(text) for text in texts), texts[:5]
    expect(tuned.locator("table tr").first).to_contain_text("%")
    page.picture("answers", seen)

    seen.get_by_label("Stop at").fill("a\nb\nc\nd\ne")
    seen.get_by_role("button", name="Ask").click()
    expect(tuned.locator(".ftp-error")).to_contain_text("stop takes up to 4 sequences")
    page.picture("refused", seen)


REVIEW = """
from pathlib import Path
from helpers import review, write_jsonl
import os
here = Path(os.environ["LOCAL_API_DATA_DIR"])
write_jsonl([{"prompt": f"Ticket {n}\\n\\n###\\n\\n", "completion": " billing\\n"} for n in range(1, 5)], here / "rows.jsonl")
sheet = review(here / "rows.jsonl", n=None, order="file")
"""


def test_rows_are_kept_dropped_and_edited_and_the_file_written_says_so(open_notebook) -> None:
    written = "(here / 'out.jsonl').read_text()"
    page = open_notebook("review", [REVIEW, "sheet", f"print(sheet.export(here / 'out.jsonl'), {written}, sep='\\n')"])
    page.run(0)
    seen = page.run(1)
    seen.get_by_role("button", name="Keep").click()
    expect(seen).to_contain_text("2 of 4")
    seen.get_by_label("Why").fill("a test ticket")
    seen.get_by_role("button", name="Drop").click()
    expect(seen).to_contain_text("3 of 4")
    page.picture("decided", seen)
    seen.get_by_role("button", name="Edit").click()
    seen.get_by_label("completion").fill(" refund\n")
    page.picture("editing", seen)
    seen.get_by_role("button", name="Save").click()
    expect(seen).to_contain_text("1 kept, 1 dropped, 1 edited")
    said = page.run(2).inner_text().splitlines()
    assert "4 rows in, 3 written (1 edited, 0 flagged), 1 dropped." in said[0]
    rows = [json.loads(line) for line in said if line.startswith("{")]
    assert [row["prompt"].split("\n")[0] for row in rows] == ["Ticket 1", "Ticket 3", "Ticket 4"]
    assert [row["completion"] for row in rows] == [" billing\n", " refund\n", " billing\n"]


AN_AGENT = """
from helpers import base_model, connect, follow, upload
from helpers.chat import SupportChat, SupportFormat, chat_window
client, style = connect(), SupportFormat()
facts = {"Order number": "PR-1", "Carrier": "Larkpost"}
turns = [{"speaker": "customer", "text": "Who brings my parcel?"}]
row = style.agent.row(style.agent_text("The conversation begins.", facts, turns), "Larkpost brings it.")
job = follow(client, client.fine_tuning.jobs.create(model=base_model(client), training_file=upload(client, [row] * 12).id,
                                                    hyperparameters={"n_epochs": 12, "batch_size": 12}).id)
chat = SupportChat(client, agent=job.fine_tuned_model, facts=facts, style=style)
"""


def test_one_talks_to_an_agent_and_what_has_no_answer_can_be_sent_again(open_notebook) -> None:
    page = open_notebook("chat_window", [AN_AGENT, "chat_window(chat)", "client.models.delete(chat.agent).deleted"])
    page.run(0)
    seen = page.run(1)
    expect(seen).to_contain_text("Larkpost")
    line = seen.get_by_placeholder("Write as the customer")
    line.fill("Who brings my parcel?")
    line.press("Enter")
    expect(seen).to_contain_text("Customer: Who brings my parcel?")
    expect(seen).to_contain_text("Agent: Larkpost brings it.")
    expect(line).to_have_value("")
    line.fill("And <b>when</b>?")
    seen.get_by_role("button", name="Send").click()
    expect(seen).to_contain_text("Customer: And <b>when</b>?")
    page.picture("said", seen)

    page.run(2)
    line.fill("Are you there?")
    line.press("Enter")
    expect(seen).to_contain_text("No answer:")
    expect(line).to_have_value("Are you there?")
    page.picture("no_answer", seen)
