"""The words that the generated reviews are made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aspect:
    noun: str
    group: str
    plural: bool = False


ASPECTS = (
    *(Aspect(noun, "people") for noun in ("acting", "lead performance", "cast", "casting", "leading man")),
    *(Aspect(noun, "people", True) for noun in ("supporting players", "two leads", "performances")),
    *(
        Aspect(noun, "writing")
        for noun in (
            "script",
            "dialogue",
            "plot",
            "story",
            "ending",
            "opening act",
            "humour",
            "final twist",
            "romance",
            "premise",
            "middle section",
        )
    ),
    *(Aspect(noun, "writing", True) for noun in ("jokes", "subplots", "flashbacks", "characters")),
    *(
        Aspect(noun, "craft")
        for noun in (
            "camera work",
            "music",
            "score",
            "editing",
            "lighting",
            "sound design",
            "direction",
            "set design",
            "photography",
            "make-up",
        )
    ),
    *(
        Aspect(noun, "craft", True)
        for noun in ("costumes", "sets", "special effects", "action scenes", "songs", "chases")
    ),
)


def listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


ANYTHING = {
    True: listed(
        "superb excellent wonderful brilliant impressive delightful terrific splendid memorable remarkable "
        "strong outstanding lovely fine engaging enjoyable satisfying fantastic great good marvellous "
        "amazing incredible perfect awesome nice"
    ),
    False: listed(
        "dull boring terrible awful poor weak dreadful disappointing forgettable lifeless tiresome feeble "
        "mediocre dismal irritating bland bad lame laughable atrocious uninspired "
        "horrible stupid annoying ridiculous ordinary"
    ),
}
ADJECTIVES = {
    "people": {
        True: listed("convincing charming natural sincere magnetic nuanced warm believable graceful likeable"),
        False: listed("wooden stiff unconvincing hammy awkward flat charmless listless shrill amateurish"),
    },
    "writing": {
        True: listed("clever sharp inventive fresh gripping moving thoughtful subtle funny intelligent poignant"),
        False: listed("predictable clumsy stale tedious thin muddled contrived silly shallow confused lazy"),
    },
    "craft": {
        True: listed("gorgeous elegant striking polished stunning stylish beautiful imaginative exquisite crisp"),
        False: listed("ugly cheap sloppy drab jarring murky crude grating shoddy garish"),
    },
    "film": {
        True: listed(
            "rewarding absorbing gripping moving entertaining touching fascinating funny thrilling clever intelligent"
        ),
        False: listed("dreary tedious hollow pointless empty clumsy predictable muddled silly shallow endless"),
    },
}
ADVERBS = listed("truly thoroughly remarkably decidedly simply genuinely quite really surprisingly plainly")
NEGATORS = (
    "not the least bit",
    "anything but",
    "far from",
    "never for a moment",
    "not remotely",
    "by no means",
    "not in any way",
    "nowhere near",
    "hardly",
    "not at all",
    "never",
    "not exactly what I would call",
)
NOUNS = {
    True: ("triumph", "delight", "gem", "treat", "success", "pleasure", "masterpiece", "joy", "winner"),
    False: ("failure", "disappointment", "mess", "bore", "disaster", "misfire", "chore", "letdown", "waste of time"),
}
VERBS = {  # base, third person, past
    True: (
        ("work", "works", "worked"),
        ("succeed", "succeeds", "succeeded"),
        ("deliver", "delivers", "delivered"),
        ("shine", "shines", "shone"),
        ("come together", "comes together", "came together"),
        ("pay off", "pays off", "paid off"),
        ("hit the mark", "hits the mark", "hit the mark"),
    ),
    False: (
        ("fail", "fails", "failed"),
        ("fall apart", "falls apart", "fell apart"),
        ("drag", "drags", "dragged"),
        ("fall flat", "falls flat", "fell flat"),
        ("collapse", "collapses", "collapsed"),
        ("lose its way", "loses its way", "lost its way"),
        ("disappoint", "disappoints", "disappointed"),
    ),
}
FEELINGS = {  # base, past
    True: (("like", "liked"), ("love", "loved"), ("enjoy", "enjoyed"), ("admire", "admired")),
    False: (("dislike", "disliked"), ("hate", "hated"), ("despise", "despised")),
}
WHOLES = (
    "the film as a whole",
    "the film",
    "the movie",
    "the picture as a whole",
    "the whole thing",
    "this film",
    "the movie as a whole",
    "the result",
    "the finished film",
)
FILM_NOUNS = ("film", "movie", "picture", "comedy", "drama", "thriller", "mystery", "western")
CLOSING_LINES = {
    True: (
        "I would happily sit through it again.",
        "Do not miss it.",
        "You would be wrong to skip it.",
        "I do not regret a minute of it.",
        "I cannot think of a good reason to miss it.",
        "I left the cinema glad that I had come.",
        "Nobody should stay away from this one.",
        "I can recommend it to anyone.",
        "It was worth the money and the time.",
        "I would not hesitate to buy a second ticket.",
        "Those two hours were not wasted.",
        "I have already told my friends to go and see it.",
        "I was sorry when it was over.",
        "It is one of the best films I have seen.",
    ),
    False: (
        "I would not sit through it again.",
        "Do not bother.",
        "You would be wrong to expect anything.",
        "I regret every minute of it.",
        "I cannot think of a good reason to see it.",
        "I left the cinema sorry that I had come.",
        "Nobody should pay to see this one.",
        "I cannot recommend it to anyone.",
        "It was not worth the money or the time.",
        "I would hesitate to take it as a gift.",
        "Those two hours were wasted.",
        "I have already told my friends to stay at home.",
        "I was glad when it was over.",
        "It is one of the worst films I have seen.",
    ),
}
"""The sentences by which some reviews end, by polarity: whether to go and see the film."""
NAMES = (
    "Ada",
    "Boris",
    "Clara",
    "Dmitri",
    "Elena",
    "Felix",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Katya",
    "Leon",
    "Mara",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Stefan",
    "Tilda",
    "Viktor",
    "Wanda",
    "Yusuf",
    "Agnes",
    "Bruno",
)
JOBS = (
    "teacher",
    "detective",
    "sailor",
    "baker",
    "pianist",
    "surgeon",
    "clerk",
    "farmer",
    "thief",
    "reporter",
    "widow",
    "boxer",
    "painter",
    "soldier",
    "lawyer",
    "student",
    "gardener",
    "pilot",
    "waiter",
    "librarian",
)
PLACES = (
    "a fishing village",
    "a border town",
    "a mining valley",
    "the capital",
    "a coastal town",
    "a mountain hotel",
    "a quiet suburb",
    "a harbour city",
    "a boarding school",
    "a northern port",
    "an old theatre",
    "a desert camp",
)
THINGS = (
    "a letter",
    "a stolen painting",
    "an old photograph",
    "a locked suitcase",
    "a missing child",
    "a map",
    "a debt",
    "a forged will",
    "a wedding ring",
    "a radio signal",
    "a family secret",
    "a lost dog",
)
EVENTS = (
    "moves to {place}",
    "finds {thing} in the attic",
    "loses a brother in the war",
    "falls in love with a {job}",
    "is hired to find {thing}",
    "takes a job in {place}",
    "hides {thing} from the police",
    "runs away to {place}",
    "meets a {job} named {name}",
    "inherits {thing} from an uncle",
    "must return to {place}",
    "is mistaken for a {job}",
    "crosses the country by bus",
    "opens a small shop in {place}",
    "shares a room with a {job}",
    "misses the last boat home",
    "writes to {name} every week",
)
TITLES = (
    ("Glass", "Paper", "Winter", "Copper", "Silent", "Northern", "Hollow", "Amber", "Second", "Salt", "Crooked"),
    ("Harbour", "Orchard", "Lantern", "Station", "Bridge", "Garden", "Window", "Letters", "Summer", "Parade"),
)
OTHERS = (
    "My sister",
    "My brother",
    "My neighbour",
    "A friend",
    "My wife",
    "My husband",
    "One critic",
    "A colleague",
    "The local paper",
    "My father",
    "My flatmate",
    "The woman next to me",
    "My daughter",
    "The radio",
)
AGREES = {
    True: (
        ", and I can only agree",
        ", and for once I agree",
        ", which is exactly right",
        ", and rightly so",
        ", and I say the same",
        ". I think so too",
        ". That is the plain truth",
    ),
    False: (
        ", and I could not disagree more",
        ", which is simply wrong",
        ", but I saw nothing of the sort",
        ", and I have no idea why",
        ", and I say the opposite",
        ". I do not think so at all",
        ". That could not be further from the truth",
    ),
}
CIRCUMSTANCES = (
    "I saw it on a rainy {day} with {other}.",
    "It runs for {minutes} minutes.",
    "It was shot in {place}.",
    "The director is best known for a series about a {job}.",
    "{name} and {name2} play the leads.",
    "The credits list more than {minutes} people.",
    "There are subtitles throughout.",
    "We went to the late show on {day}.",
    "It is set in {place} some {minutes} years ago.",
    "I had read the book years before.",
    "It came out in the same week as {title}.",
    "The studio had planned it as a series.",
    "I watched it at home on {day}.",
)
STRAYS = (
    "The cinema itself was {plain} that evening.",
    "The trailer looked {adj}.",
    "The book had been {adj}.",
    "The same director once made {title}, a {adv} {adj} {film}.",
    "The short before the main feature was {adj}.",
    "{name} plays {a_adj} {job} who {event}.",
    "The hero is {a_adj} {job} who {event}.",
    "We follow {a_adj} {job} who {event}.",
    "At school {name} was always {adj}, or so we are told.",
    "The seats were {plain} and the hall was full.",
    "{title}, which many people found {adj}, had the same writer.",
)
PLOTS = (
    "{name}, a {job}, {event}.",
    "Then {name} {event}.",
    "A {job} called {name} {event} and {event2}.",
    "The story begins when {name} {event}.",
    "Meanwhile a {job} {event}.",
    "After that {name} {event}.",
    "In the last third {name} {event} while a {job} {event2}.",
    "It is about a {job} who {event}.",
    "Halfway through, a {job} {event}.",
    "Years later {name} {event}.",
)
PLAIN = {
    True: ("lovely", "fine", "good", "great", "excellent", "wonderful"),
    False: ("awful", "terrible", "poor", "bad", "dreadful", "dismal"),
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
