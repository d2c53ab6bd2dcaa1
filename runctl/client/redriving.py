"""Sending again what could not be delivered, or what a function failed on for good."""

from dataclasses import dataclass

from runctl.client.deployment import Deployment
from runctl.errors import RunctlError
from runctl.model.dead_letter import DeadLetter
from runctl.model.names import STACK_NAME, Function
from runctl.policy.redriving import obstacle


@dataclass(frozen=True)
class LettersPlan:
    """What lies in the dead-letter queue. Nothing was sent yet."""

    ready: tuple[DeadLetter, ...]
    """They can be sent again, the oldest first."""
    staying: tuple[tuple[DeadLetter, str], ...]
    """They stay, each for a reason in a sentence."""


@dataclass(frozen=True)
class Redriven:
    """What sending again came to. One that was refused keeps no other from it."""

    sent: tuple[DeadLetter, ...]
    """Their functions have them, and the queue has them no more."""
    refused: tuple[tuple[DeadLetter, RunctlError], ...]
    """They lie in the queue as before."""
    gone: tuple[DeadLetter, ...]
    """They were there when they were looked at, and nobody handed them out now: in other hands, or over 14 days old."""


class Redriving:
    """The dead-letter queue of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        place = deployment.place
        self._functions = {place.function_arn(f"{STACK_NAME}-{function.value}"): function for function in Function}

    def plan(self) -> LettersPlan:
        """Look at what lies there; changes nothing."""
        judged = [(letter, obstacle(letter, self._functions)) for letter in self._deployment.dead_letters.letters()]
        return LettersPlan(
            tuple(letter for letter, why in judged if why is None),
            tuple((letter, why) for letter, why in judged if why is not None),
        )

    def send(self, plan: LettersPlan) -> Redriven:
        """Send what is ready to the functions it was for. May be broken off and begun again at any moment."""
        answers = tuple(self._deployment.dead_letters.send_again([letter.message_id for letter in plan.ready]))
        answered = {letter.message_id for letter, _ in answers}
        return Redriven(
            tuple(letter for letter, fault in answers if fault is None),
            tuple((letter, fault) for letter, fault in answers if fault is not None),
            tuple(letter for letter in plan.ready if letter.message_id not in answered),
        )
