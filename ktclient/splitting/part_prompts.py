"""The prompts for a part of a text, and for combining the answers of all parts: in the text's own
language, English or Chinese. Pure."""

# ruff: noqa: RUF001 - Chinese punctuation is intended

from __future__ import annotations

from collections.abc import Sequence

from ktclient.prompts.tasks import Kind, Task
from ktclient.splitting.chunks import Chunk
from ktclient.splitting.reduce import Item
from ktclient.splitting.split_plan import Plan

NOTHING = ("Nothing in this part.", "本部分没有相关内容。")
"""What a part without an answer to the question must reply, in English and Chinese."""


def part_document(text: str, chunk: Chunk, plan: Plan) -> str:
    """The part under a line with its number; repeated text is marked."""
    total, chinese = len(plan.chunks), plan.is_chinese
    title = f"{':' if chinese else ': '}{chunk.title}" if chunk.title else ""
    which = f"第{chunk.number}部分，共{total}部分" if chinese else f"Part {chunk.number} of {total}"
    body = text[chunk.start : chunk.end]
    if chunk.lead < chunk.start:
        before = text[chunk.lead : chunk.start].strip("\n")
        end, begin = (
            (f"（第{chunk.number - 1}部分的结尾：）", f"（第{chunk.number}部分从这里开始：）")
            if chinese
            else (f"(The end of part {chunk.number - 1}:)", f"(Part {chunk.number} begins here:)")
        )
        body = f"{end}\n{before}\n\n{begin}\n{body}"
    return f"[{which}{title}]\n\n{body}"


def part_task(task: Task, chunk: Chunk, plan: Plan) -> Task:
    """The task for one part."""
    number, total = chunk.number, len(plan.chunks)
    if plan.is_chinese:
        where = f"上文是一篇长文的第{number}部分（共{total}部分）。"
        words = {
            Kind.SUMMARIZE: f"{where}请总结这一部分的要点、人物、数字和事件，"
            "以便之后根据各部分的总结写出全文的总结。",
            Kind.ASK: f"{where}请只根据这一部分回答下面的问题，必要时引用原文。"
            f"如果这一部分没有相关内容，只回答：{NOTHING[1]}\n问题：{task.text}",
            Kind.PROMPT: f"{where}请只针对这一部分完成下面的要求：\n{task.text}",
        }
    else:
        where = f"The text above is part {number} of {total} of a longer text. "
        words = {
            Kind.SUMMARIZE: f"{where}Summarize this part: its main points, names, figures and "
            "events, so that the whole can be summarized from the summaries of its parts.",
            Kind.ASK: f"{where}Answer the question below from this part alone, with short "
            f"quotations where they help. If it says nothing about it, answer only: {NOTHING[0]}\n"
            f"Question: {task.text}",
            Kind.PROMPT: f"{where}Do the following for this part alone:\n{task.text}",
        }
    return Task(Kind.PROMPT, words[task.kind])


def has_nothing(text: str) -> bool:
    """Whether a part's reply says that it has no answer."""
    said = text.strip().strip("\"'“”").rstrip(".。").casefold()
    return said in {one.rstrip(".。").casefold() for one in NOTHING}


def combining_document(items: Sequence[Item], plan: Plan) -> str:
    """The answers in order, each under the number of its part. They are a document like any other:
    turn marks in them are made harmless when the request is composed."""
    return "\n\n".join(f"{heading(item, plan)}\n{item.text}" for item in items)


def heading(item: Item, plan: Plan) -> str:
    """The heading of an answer: "[3] Chapter 7", or "[3-5]" for several parts."""
    if item.first != item.last:
        return f"[{item.first}-{item.last}]"
    title = plan.chunks[item.first - 1].title
    return f"[{item.first}]{' ' if title else ''}{title}"


def combining_task(task: Task, plan: Plan, *, is_last: bool) -> Task:
    """The task for combining the answers of several parts, or of all."""
    if plan.is_chinese:
        return Task(Kind.PROMPT, _combining_in_chinese(task, len(plan.chunks), is_last))
    cite = "Say which parts a statement comes from by their numbers, such as [3]."
    of = f"the {len(plan.chunks)} parts" if is_last else "some parts"
    words = {
        Kind.SUMMARIZE: f"Above are summaries of {of} of one long text, in order, each under its "
        f"number. Write one summary of the {'whole' if is_last else 'text so far covered'} from "
        f"them. {cite}",
        Kind.ASK: f"Above is what {of} of one long text say to a question, in order, each under "
        f"its number. Give one answer to the question from them; leave out parts that say nothing "
        f"about it. {cite}\nQuestion: {task.text}",
        Kind.PROMPT: f"Above is what came of the request below for {of} of one long text, in "
        f"order, each under its number. Make one result of them, as if the request had been done "
        f"on the whole. {cite}\nRequest: {task.text}",
    }
    return Task(Kind.PROMPT, words[task.kind])


def _combining_in_chinese(task: Task, total: int, is_last: bool) -> str:
    cite = "请用编号注明内容出自哪些部分，例如[3]。"
    of = f"全部{total}个部分" if is_last else "若干部分"
    words = {
        Kind.SUMMARIZE: f"以上是一篇长文{of}的总结，按顺序排列，各有编号。"
        f"请据此写一篇完整的总结。{cite}",
        Kind.ASK: f"以上是一篇长文{of}对一个问题的回答，按顺序排列，各有编号。"
        f"请据此给出一个完整的回答，没有相关内容的部分可以略去。{cite}\n问题：{task.text}",
        Kind.PROMPT: f"以上是对一篇长文{of}分别完成下面要求的结果，按顺序排列，各有编号。"
        f"请把它们合并成一个结果，如同对全文完成了这一要求。{cite}\n要求：{task.text}",
    }
    return words[task.kind]
