"""Every word of the glossary is explained in one sentence or two, and used by a lesson that teaches its concept."""

import re

import pytest

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course.glossary import GLOSSARY


@pytest.mark.parametrize("word", GLOSSARY)
def test_a_lesson_of_its_concept_uses_it(word):
    number, meaning = GLOSSARY[word]
    text = "\n".join(lesson.path.read_text(encoding="utf-8").lower() for lesson in course.index()[number])
    assert any(part in text for part in re.findall(r"\w{3,}", word.lower()))
    assert meaning.endswith(".") and 5 < len(meaning) < 120


def test_they_are_in_order_and_listed_with_the_concepts(capsys):
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.lower)
    assert main(["learn", "--concepts"]) == 0
    assert "│ gather " in capsys.readouterr().out
