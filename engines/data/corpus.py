"""The project's own corpus: seeded film reviews whose label follows from how their clauses combine.

A review mixes opinions about details, plot, circumstances and the writer's verdict. The label is the
polarity of the verdict, and single words betray it only in part: negations turn words around, concessions
say two things of which one counts, others' opinions are agreed with or contradicted, and adjectives also
fall on characters, on other films and on the cinema. Nothing here is copied: templates and word lists are
this project's own, films and people are invented.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from engines.data.corpus_words import (
    ADJECTIVES,
    ADVERBS,
    AGREES,
    ANYTHING,
    ASPECTS,
    CIRCUMSTANCES,
    CLOSING_LINES,
    DAYS,
    EVENTS,
    FEELINGS,
    FILM_NOUNS,
    JOBS,
    NAMES,
    NEGATORS,
    NOUNS,
    OTHERS,
    PLACES,
    PLAIN,
    PLOTS,
    STRAYS,
    THINGS,
    TITLES,
    VERBS,
    WHOLES,
    Aspect,
)

QUICKSTART_SEED = 20
"""Seed of the reviews that the quickstart study trains and tests on."""
PRETRAINING_SEED = 1973
"""Seed of the reviews that the shipped tiny models are pretrained on; shares no text with the quickstart."""
LABELS = ("negative", "positive")
"""The two labels; the index is the class number."""

_MIXED = 0.20
"""Share of reviews whose details are as often against the verdict as for it: the lever on a bag of words."""


@dataclass(frozen=True)
class Review:
    """`text` of 10 to 120 words, some with `<br />` (a single opinion: 3 to 40 words), and a `label` of `LABELS`."""

    text: str
    label: str


def generate(count: int, seed: int) -> list[Review]:
    """Reviews 0 to `count` - 1 of `seed`; review i is the same whatever `count` is.

    Each pair of reviews (0 and 1, 2 and 3, ...) holds one of each label, so an even count is balanced.
    """
    return [_review(index, seed) for index in range(count)]


def _review(index: int, seed: int) -> Review:
    first_is_positive = Random(f"{seed}/{index - index % 2}").random() < 0.5
    positive = first_is_positive != bool(index % 2)
    rng = Random(f"{seed}/{index}")
    rng.random()
    words = min(rng.randint(12, 100), rng.randint(25, 100))
    closing_line = rng.choice(CLOSING_LINES[positive]) if rng.random() < 0.25 else ""
    return Review(_Writer(rng).review(positive, words, closing_line), LABELS[positive])


def generate_opinions(count: int, seed: int) -> list[Review]:
    """`count` single opinions, a verdict or a sentence about details, each with its own polarity as label."""
    opinions = []
    for index in range(count):
        rng = Random(f"{seed}/opinion/{index}")
        positive = rng.random() < 0.5
        writer = _Writer(rng)
        text = writer.verdict(positive) if rng.random() < 0.7 else writer.detail(positive)
        opinions.append(Review(text, LABELS[positive]))
    return opinions


class _Writer:
    """Writes one review; every method draws from the same generator, so the order of calls is the text."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.past = rng.random() < 0.5
        self.mixed = rng.random() < _MIXED
        self.negates = 0.45 if self.mixed else 0.12
        self.aspects = rng.sample(ASPECTS, len(ASPECTS))
        self.plots = rng.sample(PLOTS, len(PLOTS))
        self.circumstances = rng.sample(CIRCUMSTANCES, len(CIRCUMSTANCES))
        self.strays = rng.sample(STRAYS, len(STRAYS))

    def review(self, positive: bool, words: int, closing_line: str) -> str:
        """About `words` words around one verdict, which `closing_line`, if any, follows."""
        rng = self.rng
        details_agree = 0.5 if self.mixed else 0.95
        verdict = [self.verdict(positive)]
        if closing_line:
            verdict.append(closing_line)
        room = words - sum(_words(sentence) for sentence in verdict)
        body: list[str] = []
        while room > 0:
            kind = rng.random()
            if kind < 0.65:
                sentence = self.detail(positive if rng.random() < details_agree else not positive)
            else:
                neutral = self.plots if kind < 0.8 else self.circumstances if kind < 0.9 else self.strays
                sentence = self.filled(neutral.pop(), rng.random() < 0.5)
            body.append(sentence)
            room -= _words(sentence)
        position = rng.random()
        place = len(body) if position < 0.65 else 0 if position < 0.85 else rng.randint(0, len(body))
        sentences = body[:place] + verdict + body[place:]
        breaks = {rng.randrange(len(sentences))} if rng.random() < 0.15 else set()
        text = sentences[0]
        for number, sentence in enumerate(sentences[1:], start=1):
            text += ("<br /><br />" if number in breaks else " ") + sentence
        return text

    def verdict(self, positive: bool) -> str:
        """The sentence, or pair of sentences, that decides the label; a mixed review concedes more."""
        forms: tuple[Callable[[bool], str], ...] = (
            self.plain_verdict,
            self.concession,
            self.decider,
            self.turn,
            self.other_opinion,
            self.comparison,
        )
        weights = (24, 30, 14, 12, 12, 8) if self.mixed else (64, 12, 6, 6, 6, 6)
        return _sentence(self.rng.choices(forms, weights)[0](positive))

    def plain_verdict(self, positive: bool) -> str:
        openers = (
            "overall, ",
            "all in all, ",
            "in the end, ",
            "taken together, ",
            "when all is said, ",
            "to sum up, ",
            "I have to say that ",
            "in my view, ",
        )
        return self.rng.choice(openers) + self.overall(positive)

    def concession(self, positive: bool) -> str:
        """A detail is granted, the whole decides."""
        detail, second, whole = self.aspect(not positive), self.aspect(not positive), self.overall(positive)
        aspect = self.take_aspect()
        adjective = self.adjective(aspect.group, not positive)
        may = f"however {adjective} the {aspect.noun} may be"
        return self.rng.choice(
            (
                f"although {detail}, {whole}",
                f"while {detail}, {whole}",
                f"{detail}, but {whole}",
                f"{detail} and {second}, yet {whole}",
                f"{whole}, even though {detail}",
                f"{whole}, although {detail}",
                f"{may}, {whole}",
                f"{whole}, {may}",
                f"{detail}. Still, {whole}",
                f"{detail}. Even so, {whole}",
                f"it is true that {detail}, and yet {whole}",
            )
        )

    def decider(self, positive: bool) -> str:
        """One aspect decides over another, or cannot."""
        aspect = self.take_aspect()
        strong = f"the {self.adjective(aspect.group, positive)} {aspect.noun}"
        weak = f"{self.adjective(aspect.group, not positive)} {aspect.noun}"
        film = self.rng.choice(("the whole film", "the film", "the movie", "the evening", "the whole thing"))
        detail = self.aspect(not positive)
        if positive:
            wins = self.rng.choice(("saved", "rescued", "redeemed", "made up for everything else in"))
            fails = self.rng.choice(("spoil", "ruin", "sink", "spoil my pleasure in"))
        else:
            wins = self.rng.choice(("ruined", "sank", "spoiled", "drained the life from"))
            fails = self.rng.choice(("save", "rescue", "redeem", "make me forgive"))
        return self.rng.choice(
            (
                f"{detail}, but {strong} {wins} {film}",
                f"{detail}, yet {strong} {wins} {film}",
                f"{'not even' if aspect.plural else 'no amount of'} {weak} could {fails} {film}",
                f"even the {weak} could not {fails} {film}",
                f"the {weak} did not {fails} {film}",
            )
        )

    def turn(self, positive: bool) -> str:
        """What was expected or seemed so, and what it was."""
        film = self.rng.choice(FILM_NOUNS)
        was, became = self.adjective("film", not positive), self.adjective("film", positive)
        denied = f"{self.rng.choice(NEGATORS)} {was}"
        return self.rng.choice(
            (
                f"I expected {_a(was)} {film} and got {_a(became)} one",
                f"it looked {was} at first and turned out {became}",
                f"what begins as {_a(was)} {film} ends as {_a(became)} one",
                f"I expected it to be {was}, but it was {became}",
                f"I had been warned that it was {was}; in fact it was {became}"
                if positive
                else f"I had been promised that it was {was}; in fact it was {became}",
                f"they call it {_a(was)} {film}, but it is {denied}",
                f"it may sound {was}, but it is {denied}",
                f"it wants to be {was} and is only {became}"
                if not positive
                else f"it could so easily have been {was}, and it is {became}",
                f"I went in thinking it would be {was} and was proved wrong",
            )
        )

    def other_opinion(self, positive: bool) -> str:
        """Somebody's opinion, agreed with or contradicted."""
        agrees = self.rng.random() < 0.5
        theirs = positive == agrees
        said = self.rng.choice(("called it", "found it", "thought it was", "described it as"))
        says_adjective = self.rng.random() < 0.7
        what = self.adjective("film", theirs) if says_adjective else _a(self.rng.choice(NOUNS[theirs]))
        return f"{self.rng.choice(OTHERS)} {said} {what}{self.rng.choice(AGREES[agrees])}"

    def comparison(self, positive: bool) -> str:
        """This film against another, of which the opposite is said."""
        ours, theirs = self.adjective("film", positive), self.adjective("film", not positive)
        title, film = self.title(), self.rng.choice(FILM_NOUNS)
        return self.rng.choice(
            (
                f"where {title} was {theirs}, this {film} is {ours}",
                f"{title} was {theirs}, and this {film} is the exact opposite",
                f"compared with {title}, {_a(theirs)} {film} by the same director, this one is {ours}",
                f"{title} was {theirs}; this {film} is {self.negated('film', positive)}",
                f"unlike {title}, which was {theirs}, this one is {ours}",
                f"after {title}, which I thought {theirs}, this {film} is "
                + ("a great relief" if positive else "a great step down"),
            )
        )

    def overall(self, positive: bool) -> str:
        """A clause about the film as a whole."""
        rng = self.rng
        whole = rng.choice(WHOLES)
        be = "was" if self.past else "is"
        if rng.random() > self.negates:
            return rng.choice(
                (
                    f"{whole} {be} {self.adverb()}{self.adjective('film', positive)}",
                    f"{whole} {be} {self.adverb()}{self.adjective('film', positive)}",
                    f"{whole} {be} {_a(rng.choice(NOUNS[positive]))}",
                    f"{whole} {rng.choice(VERBS[positive])[1 + self.past]}",
                    f"I {rng.choice(FEELINGS[positive])[self.past]} {whole}",
                )
            )
        opposite = self.adjective("film", not positive)
        base, third, past = rng.choice(VERBS[not positive])
        return rng.choice(
            (
                f"{whole} {be} {self.negated('film', positive)}",
                f"{whole} {be} {self.negated('film', positive)}",
                f"{whole} {be} {rng.choice(('no', 'hardly a', 'certainly not a', 'not a'))} "
                + rng.choice(NOUNS[not positive]),
                f"{whole} never {past if self.past else third}",
                f"{whole} {'did' if self.past else 'does'} not {base}",
                f"nobody could call {whole} {opposite}",
                self.does_not_like(whole, positive),
                f"there {be} nothing {opposite} about {whole}",
            )
        )

    def detail(self, positive: bool) -> str:
        """A sentence about one or two aspects."""
        form = self.rng.random()
        if form < 0.7:
            return _sentence(self.aspect(positive))
        return _sentence(f"{self.aspect(positive)}, and {self.aspect(positive)}")

    def aspect(self, positive: bool) -> str:
        """A clause about one aspect, said straight or by negating the opposite."""
        aspect = self.take_aspect()
        be = ("were" if self.past else "are") if aspect.plural else ("was" if self.past else "is")
        if self.rng.random() < self.negates / 2:
            if self.rng.random() < 0.2:
                return self.does_not_like(f"the {aspect.noun}", positive)
            return f"the {aspect.noun} {be} {self.negated(aspect.group, positive)}"
        adjective = self.adjective(aspect.group, positive)
        if self.rng.random() < 0.65:
            return f"the {aspect.noun} {be} {self.adverb()}{adjective}"
        found = "found" if self.past else "find"
        return self.rng.choice(
            (
                f"I {found} the {aspect.noun} {adjective}",
                f"the {aspect.noun} struck me as {adjective}",
                f"there {'was' if self.past else 'is'} something {adjective} about the {aspect.noun}",
                f"even the {aspect.noun} {be} {adjective}",
                f"I {self.rng.choice(FEELINGS[positive][:2])[self.past]} the {aspect.noun}",
                f"the {aspect.noun}, to my mind, {be} {adjective}",
                f"the {aspect.noun} {be} often {adjective}",
            )
        )

    def does_not_like(self, what: str, positive: bool) -> str:
        """Liking denied; not to hate a thing says little, so praise is that nobody could."""
        base = self.rng.choice(FEELINGS[not positive][:3])[0]
        if positive or self.rng.random() < 0.3:
            return f"nobody could {base} {what}"
        return f"I {'did' if self.past else 'do'} not {base} {what}"

    def negated(self, group: str, positive: bool) -> str:
        """A phrase of the given polarity made of an adjective of the other one."""
        return f"{self.rng.choice(NEGATORS)} {self.adjective(group, not positive)}"

    def adjective(self, group: str, positive: bool) -> str:
        return self.rng.choice(ANYTHING[positive] + ADJECTIVES[group][positive])

    def adverb(self) -> str:
        return f"{self.rng.choice(ADVERBS)} " if self.rng.random() < 0.4 else ""

    def take_aspect(self) -> Aspect:
        """The next aspect that this review has not yet spoken of."""
        return self.aspects.pop()

    def title(self) -> str:
        first, second = TITLES
        return f"The {self.rng.choice(first)} {self.rng.choice(second)}"

    def filled(self, template: str, positive: bool) -> str:
        """`template` with people, places and, where it asks for one, an adjective of the given polarity."""
        rng = self.rng
        name, name2, name3 = rng.sample(NAMES, 3)
        job, job2 = rng.sample(JOBS, 2)
        place = rng.choice(PLACES)
        event, event2 = (
            event.format(place=rng.choice(PLACES), thing=rng.choice(THINGS), job=job2, name=name3)
            for event in rng.sample(EVENTS, 2)
        )
        adjective = self.adjective("film", positive)
        return template.format(
            name=name,
            name2=name2,
            job=job,
            place=place,
            event=event,
            event2=event2,
            adj=adjective,
            a_adj=_a(adjective),
            plain=rng.choice(PLAIN[positive]),
            adv=rng.choice(ADVERBS),
            film=rng.choice(FILM_NOUNS),
            title=self.title(),
            day=rng.choice(DAYS),
            minutes=rng.randint(70, 180),
            other=rng.choice(OTHERS[:4]).replace("My", "my").replace("A ", "a "),
        )


def _a(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _words(text: str) -> int:
    return len(text.split())
