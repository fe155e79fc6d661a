"""The knobs of the live modes: what has been turned, and where it applies. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import Any

from bridge.errors import RequestError
from bridge.playing.live_settings import KNOBS, LiveSettings, checked_knob
from engine.clip import Clip
from engine.errors import ClipError
from engine.representation.attributes import ATTRIBUTES, has_attribute
from engine.requests import Request
from engine.styles import NONE, mixture
from engine.weights import Card, attributes_of

CardsOf = Callable[[str | None], Sequence[Card]]
"""The model of that name, RequestError if there is none; without one those that are loaded, the default first."""

OF_A_MODEL = ("model", "style")


class Knobs:
    """What has been turned, until it is taken back.

    A knob applies where the mode's verb and model have it, and waits otherwise. What the mode itself was set to
    goes before a knob until that is turned again. cards: of the models, none where they are not known; styles_of:
    the styles that can be asked of each. problem: what was turned and no model has any more, when last asked.
    """

    def __init__(self) -> None:
        self.cards: CardsOf = lambda name: ()
        self.styles_of: Callable[[Card], Collection[str]] = lambda card: card.styles
        self._values: dict[str, Any] = {}
        self._since_begin: set[str] = set()
        self.problem = ""

    def begin(self) -> None:
        """A mode has been set: what it says goes before the knobs as they stand."""
        self._since_begin.clear()
        self.problem = ""

    def turn(self, values: Mapping[str, Any], cleared: Collection[str], running: LiveSettings | None) -> None:
        """Take some back and turn others, all or, where one is refused with a RequestError, none."""
        if unknown := [name for name in cleared if name.partition(".")[0] not in KNOBS]:
            raise RequestError("bad_request", f"clear takes {', '.join(KNOBS)}, not {unknown[0]!r}")
        for name, value in values.items():
            checked_knob(name, value)
        before = self._values, self._since_begin
        self._values = {name: value for name, value in self._values.items() if name not in cleared}
        self._values |= values
        self._since_begin = (self._since_begin - set(cleared)) | values.keys()
        try:
            self._check_turned(values.keys(), running)
        except RequestError:
            self._values, self._since_begin = before
            raise

    def applied(self, settings: LiveSettings, must: Collection[str] = (), *, begins: bool = False) -> LiveSettings:
        """The settings with those of the knobs that fit; RequestError where that leaves out one that must.

        begins: as they will be when a mode begins with these settings.
        """
        since_begin = set() if begins else self._since_begin
        has = {name: value for name, value in self._values.items() if settings.has(name)}
        turned = {name: value for name, value in has.items() if name in since_begin or name not in settings.said}
        of_model = {name: turned.pop(name) for name in OF_A_MODEL if name in turned}
        settings = settings.steered(turned)
        refusal: RequestError | None = None
        for names in (OF_A_MODEL, ("model",), ("style",), ()):
            steered = settings.steered({name: of_model[name] for name in names if name in of_model})
            try:
                self.check(steered)
                break
            except RequestError as error:
                refusal = error
        if refusal and (of_model.keys() - set(names)) & set(must):
            raise refusal
        return steered

    def check(self, settings: LiveSettings) -> None:
        """RequestError if there is no such model, or if it has not the verb or the style."""
        model, style = settings.request.get("model"), settings.request.get("style")
        cards = self.cards(model)
        able = [card for card in cards if settings.verb_name in card.verbs]
        if model is not None and cards and not able:
            can = ", ".join(cards[0].verbs)
            raise RequestError("bad_request", f"{model} cannot {settings.verb_name}; it can {can}")
        self._check_style(style, able[:1])

    def build(
        self, settings: LiveSettings, clips: Sequence[Clip], seed: int | None = None, bars_played: int = 0
    ) -> Request:
        """The request about these clips as the knobs stand; RequestError if it cannot be: see LiveSettings."""
        steered = self.applied(settings)
        self.problem = self._lost_style(settings, steered)
        return steered.build(clips, seed, self.attributes(steered), bars_played)

    def _lost_style(self, settings: LiveSettings, steered: LiveSettings) -> str:
        """Why a style that was turned is not played, where no loaded model has it any more."""
        style = self._values.get("style")
        turned = "style" in self._since_begin or "style" not in settings.said
        if style is None or not turned or not settings.has("style") or steered.request.get("style") == style:
            return ""
        try:
            self._check_style(style, self.cards(None))
        except RequestError as error:
            return f"the style {style} is not played: {error}"
        return ""

    def attributes(self, settings: LiveSettings) -> frozenset[str] | None:
        """Those of the models that may answer, None where these are not known."""
        cards = [card for card in self.cards(settings.request.get("model")) if settings.verb_name in card.verbs]
        if not cards:
            return None
        loaded = self.cards(None)
        return frozenset(name for card in cards for name in attributes_of(card, loaded))

    def check_able(self, settings: LiveSettings) -> None:
        """RequestError if no model is named and none that is loaded, where they are known, has the verb."""
        settings, cards = self.applied(settings, begins=True), self.cards(None)
        verb = settings.verb_name
        if "model" not in settings.request and cards and not any(verb in card.verbs for card in cards):
            raise RequestError("no_model", f"no loaded model can {verb}: load one that can, or name it as `model`")

    def _check_turned(self, turned: Set[str], running: LiveSettings | None) -> None:
        """RequestError if a model or style that was turned cannot be had; without a mode, by any model."""
        if running is not None:
            steered = self.applied(running, must=turned)
            known = self.attributes(steered)
            asked = [name for name in turned if name.partition(".")[0] in ATTRIBUTES and running.has(name)]
            lacks = [name for name in asked if name != "density" and known and not has_attribute(known, name)]
            if lacks:
                has = ", ".join(sorted(known or ())) or "none"
                raise RequestError(
                    "bad_request", f"no model that answers has {lacks[0]} to be asked for; they have {has}"
                )
        if (running is None or not running.has("style")) and not turned.isdisjoint(OF_A_MODEL):
            cards = self.cards(self._values.get("model"))
            self._check_style(self._values["style"] if "style" in turned else None, cards)

    def _check_style(self, style: str | None, cards: Sequence[Card]) -> None:
        """RequestError unless one of the cards, if there are any, has a style, or each of a mixture."""
        known = list(dict.fromkeys(each for card in cards for each in self.styles_of(card)))
        if style is None or not cards or style == NONE:
            return
        try:
            strange = [name for name in mixture(style) if name not in known]
        except ClipError as error:
            raise RequestError("bad_request", str(error)) from error
        if strange:
            names = ", ".join(card.name for card in cards)
            raise RequestError(
                "bad_request", f"style of {names} must be {', '.join(known) or 'left out'}, not {strange[0]!r}"
            )
