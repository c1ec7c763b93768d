"""Records become what the network reads and writes, and the boxes come back from it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="tokenizers comes with the extra [model]")

from model_training.data.records import QuestionRecord
from model_training.examples.answers import Conversation, conversations_of, detection_question
from model_training.examples.config import ExampleConfig
from model_training.examples.dense_targets import class_bucket
from model_training.examples.example import Mix, chosen_questions, example_of, make_example
from model_training.examples.left_out import NO_QUESTION
from model_training.examples.look import look_at, target_box
from model_training.examples.tokens import SLOTS, turn_of
from model_training.nano.tokenizer import write_nano_tokenizer
from n3d_ros.codec.box_code import BoxCode, decode_box
from n3d_ros.codec.box_text import format_boxes, parse_boxes
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.prompts import detection_text
from n3d_ros.codec.reasoning import split_thought
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.iou import iou_3d
from training.examples.known_records import NAMES, questions_about, tabletop_record, without_pixels

CONFIG = ExampleConfig(long_side=224)


@pytest.mark.parametrize("kind", ["visible", "full"])
def test_boxes_come_back_from_an_answer_within_a_bin(tokenizer: Tokenizer, kind: str) -> None:
    config = ExampleConfig(long_side=224, target_box=kind)
    record = tabletop_record()
    question = questions_about(record)[0]
    example = make_example(record, [question], config, tokenizer)
    assert example is not None
    answer = tokenizer.decode(example.turns[0].answer_ids.tolist())
    parsed = parse_boxes(answer)
    assert not parsed.rejected and [code.label for code in parsed.codes] == ["red box", "green box", "blue cylinder"]
    by_label = {one.label: one for one in record.objects}
    scale = example.context.normalization.scale_per_m
    camera = record.intrinsics
    for code in parsed.codes:
        true, found = target_box(by_label[code.label], kind), decode_box(code, example.context)
        assert true is not None
        # A bin: a thousandth of the image across, 0.002 and 0.000625 mean distances along the ray and in size.
        across = true.center[2] * camera.width / camera.fx / 1000
        assert np.abs(found.center - true.center).max() <= 0.002 / scale + across
        size = np.sort(true.size) if kind == "full" else true.size
        assert np.abs((np.sort(found.size) if kind == "full" else found.size) - size).max() <= 0.000625 / scale + 1e-9
        if kind == "visible":
            assert code.angle == 500 and iou_3d(found, true) > 0.9


def test_the_prompt_and_the_image_are_the_nodes_own(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    example = make_example(record, questions_about(record)[:1], CONFIG, tokenizer)
    assert example is not None
    image, _ = encode_frame(record.frame(), CONFIG.input_options())
    np.testing.assert_array_equal(example.image.pixel_values, image.pixel_values)
    np.testing.assert_array_equal(example.image.points, image.points)
    words = tokenizer.decode([*example.prefix_ids.tolist(), *example.turns[0].prompt_ids.tolist()], keep_special=True)
    assert words.count("<|image_pad|>") == image.token_count
    assert words.endswith(f"<|vision_end|>{detection_text()}<|im_end|>\n<|im_start|>assistant\n")
    assert example.turns[0].answer_ids[-1] == tokenizer.im_end


def test_boxes_stand_from_left_to_right_unless_the_question_has_an_order(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    look = look_at(record)
    _, context = encode_frame(look.frame, CONFIG.input_options())
    question = QuestionRecord(id="q", frame_id=record.id, kind="detection", object_ids=(2, 3, 1))

    def labels(config: ExampleConfig, asked: QuestionRecord) -> list[str]:
        return [code.label.split()[0] for code in conversations_of(asked, look, context, config)[0].codes or ()]

    assert labels(CONFIG, question) == ["red", "green", "blue"]
    assert labels(replace(CONFIG, order="given"), question) == ["blue", "green", "red"]
    assert labels(replace(CONFIG, order="near_to_far"), question) == ["blue", "red", "green"]
    referring = replace(question, kind="referring", names=("them",))
    assert labels(CONFIG, referring) == ["blue", "green", "red"]


def test_only_what_the_grammar_leaves_open_is_learnt(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    example = make_example(record, questions_about(record)[:1], CONFIG, tokenizer)
    forced = make_example(record, questions_about(record)[:1], replace(CONFIG, learn_forced=True), tokenizer)
    assert example is not None and forced is not None
    turn = example.turns[0]
    assert forced.turns[0].is_learnt.all()
    left_out = {tokenizer.decode([token]) for token in turn.answer_ids[~turn.is_learnt].tolist()}
    assert left_out == {"_", "0", "1", "2", "=B", "box", ","}  # the head of a line, commas behind full numbers
    learnt = tokenizer.decode(turn.answer_ids[turn.is_learnt].tolist())
    assert all(word in learnt.replace(" ", "") for word in ("redbox", "bluecylinder", "greenbox"))


def test_every_number_of_an_answer_knows_its_slot_and_value(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    example = make_example(record, questions_about(record)[:1], CONFIG, tokenizer)
    assert example is not None
    turn = example.turns[0]
    codes = parse_boxes(tokenizer.decode(turn.answer_ids.tolist())).codes
    starts = turn.bins >= 0
    assert turn.bins[starts].tolist() == [number for code in codes for number in code.bins]
    assert turn.slots[starts].tolist() == list(range(1, len(SLOTS))) * 3
    named = [tokenizer.decode([token]) for token in turn.answer_ids[turn.slots == 0].tolist()]
    assert "".join(named).replace("(", "").replace(",", "").split() == ["red", "boxgreen", "boxblue", "cylinder"]


def test_a_label_with_a_comma_is_no_number(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    named = replace(record, objects=(replace(record.objects[0], label="man, in red"),))
    example = make_example(named, [QuestionRecord(id="q", frame_id="f", kind="detection", object_ids=(1,))], CONFIG,
                           tokenizer)  # fmt: skip
    assert example is not None
    turn = example.turns[0]
    assert (turn.bins >= 0).sum() == 7
    assert tokenizer.decode(turn.answer_ids[turn.slots == 0].tolist()) == "(man, in red,"


@pytest.mark.parametrize("label", ["model 541", "7", "box (2)", "a 5 b 12"])
def test_digits_of_a_label_are_no_numbers_of_its_box(tokenizer: Tokenizer, tmp_path: Path, label: str) -> None:
    code = BoxCode(label=label, u=541, v=0, depth=999, angle=500, size_x=7, size_y=80, size_z=1)
    words = Conversation(kind="detection", user_text="x", answer=format_boxes((code,)), codes=(code,))
    for each in (tokenizer, write_nano_tokenizer(tmp_path)):
        turn = turn_of(words, each, learn_forced=False, max_boxes=4)
        starts = turn.bins >= 0
        assert turn.bins[starts].tolist() == list(code.bins)
        assert turn.slots[starts].tolist() == list(range(1, len(SLOTS)))
        assert label in each.decode(turn.answer_ids[turn.slots == 0].tolist())


def test_a_question_to_reason_about_is_asked_in_the_nodes_two_steps(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    look = look_at(record)
    _, context = encode_frame(look.frame, CONFIG.input_options())
    locate, reason = conversations_of(questions_about(record)[4], look, context, CONFIG)
    assert "First locate the bbox" in locate.user_text and len(locate.codes or ()) == 2
    assert reason.user_text.startswith("Which is taller, the red box or the blue cylinder? The 3D bbox of red box is [")
    thought, answer = split_thought(reason.answer)
    assert thought.startswith("The red box is 0.12 m") and answer == "The blue cylinder is taller."
    turn = turn_of(reason, tokenizer, learn_forced=False, max_boxes=64)
    assert turn.is_learnt.all() and (turn.slots == -1).all()


def test_a_model_whose_node_answers_learns_where_the_objects_of_a_question_are_and_no_words(
    tokenizer: Tokenizer,
) -> None:
    record, boxes_alone = tabletop_record(), replace(CONFIG, learn_answers=False)
    look = look_at(record)
    _, context = encode_frame(look.frame, CONFIG.input_options())
    question = questions_about(record)[4]
    assert (
        conversations_of(question, look, context, boxes_alone) == conversations_of(question, look, context, CONFIG)[:1]
    )
    assert conversations_of(replace(question, object_ids=()), look, context, boxes_alone) == ()
    skipped: Counter[str] = Counter()
    assert make_example(record, [replace(question, object_ids=())], boxes_alone, tokenizer, skipped=skipped) is None
    assert skipped == {NO_QUESTION: 1}


def test_what_is_not_there_is_answered_by_no_box(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    example = make_example(record, [questions_about(record)[2]], CONFIG, tokenizer)
    assert example is not None
    assert example.turns[0].answer_ids.tolist() == [tokenizer.im_end]
    assert example.turns[0].is_learnt.all()


def test_what_cannot_be_asked_is_left_out_and_counted(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    good = questions_about(record)[0]
    gone = replace(good, object_ids=(1, 9))
    long = QuestionRecord(id="q", frame_id="f", kind="category", names=("x" * 600,))
    counts: Counter[str] = Counter()
    example = example_of(look_at(record), [gone, long, good], CONFIG, tokenizer, skipped=counts)
    assert example is not None and len(example.turns) == 1
    assert counts == {"object not in the frame": 1, "words that cannot be written": 1}
    assert make_example(replace(record, depth_png=b""), [good], CONFIG, tokenizer, skipped=counts) is None
    assert counts["frame without depth"] == 1
    short = replace(CONFIG, max_tokens=len(example.prefix_ids) + 40)
    assert make_example(record, [good], short, tokenizer, skipped=counts) is None
    assert counts["question longer than max_tokens allows"] == 1


def test_broken_images_are_named(tokenizer: Tokenizer) -> None:
    record = replace(tabletop_record(), image=b"none")
    with pytest.raises(InputError, match="tabletop-0-0, image: expected an image of 160x120 px"):
        make_example(record, [], CONFIG, tokenizer)


@pytest.mark.parametrize("masks", [True, False])
def test_dense_targets_lie_where_the_objects_are(tokenizer: Tokenizer, masks: bool) -> None:
    record = tabletop_record() if masks else without_pixels(tabletop_record())
    example = make_example(record, questions_about(record)[:1], CONFIG, tokenizer)
    assert example is not None
    rows, columns = (side // 2 for side in example.image.grid)
    classes = example.dense.classes.reshape(rows, columns)
    boxes = example.dense.boxes.reshape(rows, columns, -1)
    assert example.dense.known.all()
    for one in record.objects:
        assert one.box_2d is not None
        left, top, right, bottom = one.box_2d
        row, column = int((top + bottom) / 2 / 120 * rows), int((left + right) / 2 / 160 * columns)
        assert classes[row, column] == class_bucket(one.label, CONFIG.class_buckets)
        u, v = boxes[row, column, :2]
        assert u == pytest.approx((left + right) / 2 / 160, abs=0.06)
        assert v == pytest.approx((top + bottom) / 2 / 120, abs=0.08)
    assert (classes < 0).mean() > 0.5 and (classes[0] == -1).all()


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("long_side", [84, 168, 448])
def test_every_object_has_a_dense_target_of_the_same_weight(tokenizer: Tokenizer, masks: bool, long_side: int) -> None:
    record = tabletop_record() if masks else without_pixels(tabletop_record())
    config = replace(CONFIG, long_side=long_side)
    example = make_example(record, questions_about(record)[:1], config, tokenizer)
    assert example is not None
    dense, buckets = example.dense, [class_bucket(one.label, config.class_buckets) for one in record.objects]
    assert set(dense.classes.tolist()) - {-1} == set(buckets)
    for bucket in buckets:
        assert dense.weights[dense.classes == bucket].sum() == pytest.approx(1.0)
    assert (dense.weights[dense.classes < 0] == 0).all()


def test_a_small_object_has_its_token_and_a_large_one_the_others(tokenizer: Tokenizer) -> None:
    record = tabletop_record()
    small, large = record.objects[0], record.objects[1]
    cup = replace(small, box_2d=(60.0, 50.0, 64.0, 54.0))  # 16 of the 400 pixels of a token at this size
    table = replace(large, box_2d=(0.0, 0.0, 160.0, 120.0))
    record = without_pixels(replace(record, objects=(cup, table)))
    example = make_example(record, [detection_question(record)], CONFIG, tokenizer)
    assert example is not None
    classes = example.dense.classes
    assert (classes == class_bucket(cup.label, CONFIG.class_buckets)).sum() == 1
    assert (classes == class_bucket(table.label, CONFIG.class_buckets)).sum() == len(classes) - 1


def test_a_stage_draws_its_kinds_of_questions() -> None:
    record = tabletop_record()
    questions = questions_about(record)
    rng = np.random.default_rng(0)
    localisation = Counter(
        question.kind
        for _ in range(40)
        for question in chosen_questions(record, questions, Mix(stage="localisation"), 2, rng)
    )
    assert localisation["reasoning"] == 0 and localisation["category"] > localisation["detection"] > 10
    mixed = [chosen_questions(record, questions, Mix(stage="reasoning", replay=0.3), 1, rng) for _ in range(300)]
    shares = Counter(chosen[0].kind == "reasoning" for chosen in mixed)
    assert 0.6 < shares[True] / 300 < 0.8
    assert all(len({question.id for question in chosen}) == len(chosen) for chosen in mixed)
    (only,) = chosen_questions(record, [], Mix(), 3, rng)
    assert only.kind == "detection" and only.object_ids == (1, 2, 3)


def test_a_frame_with_questions_to_reason_about_alone_is_asked_one_whatever_is_drawn() -> None:
    record = replace(tabletop_record(), provenance='{"complete": false}')
    rng, mix = np.random.default_rng(3), Mix(stage="reasoning", replay=0.9)
    for _ in range(20):
        (one,) = chosen_questions(record, questions_about(record)[-1:], mix, 4, rng)
        assert one.kind == "reasoning"


def test_a_frame_labelled_in_part_teaches_nothing_to_be_absent(tokenizer: Tokenizer) -> None:
    record = replace(tabletop_record(), provenance='{"complete": false}')
    assert chosen_questions(record, [], Mix(), 3, np.random.default_rng(0)) == ()
    example = make_example(record, questions_about(record)[3:4], CONFIG, tokenizer)
    assert example is not None
    assert (example.dense.known == (example.dense.classes >= 0)).all() and example.dense.known.any()


def test_settings_outside_their_range_are_named() -> None:
    with pytest.raises(ConfigurationError, match="target_box: expected one of visible, full, got 'both'"):
        ExampleConfig(target_box="both")
    with pytest.raises(ConfigurationError, match="min_pixels <= max_pixels"):
        ExampleConfig(min_pixels=10_000, max_pixels=5_000)


def test_names_of_the_scene_are_what_the_test_thinks() -> None:
    assert tuple(one.label for one in tabletop_record().objects) == NAMES


def test_a_thought_begins_with_the_numbers_that_are_stated(tokenizer: Tokenizer) -> None:
    from model_training.questions.config import QuestionConfig
    from model_training.questions.make import questions_about as asked_about

    record = tabletop_record()
    look = look_at(record)
    _, context = encode_frame(look.frame, CONFIG.input_options())
    stated = copied = 0
    for question in asked_about(record, QuestionConfig()):
        if question.kind == "reasoning" and question.reasoning:
            turns = conversations_of(question, look, context, CONFIG)
            numbers = re.findall(r"-?\d+\.\d+", turns[-1].user_text)
            said = set(re.findall(r"-?\d+\.\d+", turns[-1].answer))
            stated += 1
            copied += bool(said & set(numbers)) or not said
    assert stated > 5 and copied == stated
