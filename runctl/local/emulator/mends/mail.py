"""E-mail of topics: sent to a mail server on this machine, or kept as files.

ministack writes a log line in its place. `RUNCTL_LOCAL_SMTP=127.0.0.1:1025` names a mail server of the loopback;
without it each message becomes a file below `mail/` of the local cloud's folder, which any mail program opens.
"""

from __future__ import annotations

import logging
import os
import smtplib
import threading
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any, Final

from runctl.local.emulator.seam import module, replace

SMTP_VARIABLE: Final = "RUNCTL_LOCAL_SMTP"
SENDER: Final = "AWS Notifications <no-reply@sns.localhost>"
"""AWS's own is no-reply@sns.amazonaws.com (SNS Developer Guide, "Email notifications")."""

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_PATIENCE_S: Final = 10
_log = logging.getLogger(__name__)


def apply() -> None:
    """Deliver to addresses as well when a topic's message goes out."""
    sns = module("services.sns")

    def fan_out(
        topic_arn: str,
        msg_id: str,
        message: str,
        subject: str,
        message_structure: str = "",
        message_attributes: dict[str, Any] | None = None,
        message_group_id: str = "",
        message_dedup_id: str = "",
    ) -> None:
        original(
            topic_arn,
            msg_id,
            message,
            subject,
            message_structure,
            message_attributes,
            message_group_id,
            message_dedup_id,
        )
        topic: dict[str, Any] | None = sns._topic_by_arn_any_scope(topic_arn)
        subscriptions: list[dict[str, Any]] = [] if topic is None else topic["subscriptions"]
        for subscription in subscriptions:
            if subscription.get("confirmed") and subscription.get("protocol") == "email":
                mail = write_mail(subscription["endpoint"], subject, message, topic_arn)
                threading.Thread(target=_deliver, args=(mail,), daemon=True).start()

    original = replace(
        sns,
        "_fanout",
        "topic_arn, msg_id, message, subject, message_structure, message_attributes, message_group_id, "
        "message_dedup_id",
        fan_out,
    )


def write_mail(address: str, subject: str, text: str, topic_arn: str) -> EmailMessage:
    """Write a message as SNS does: the text, and below it where it comes from."""
    mail = EmailMessage()
    mail["From"] = SENDER
    mail["To"] = address
    mail["Subject"] = subject or "AWS Notification Message"
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain="sns.localhost")
    mail.set_content(f"{text}\n\n--\nSent by {topic_arn} of runctl's local cloud.\n")
    return mail


def _deliver(mail: EmailMessage) -> None:
    """Send it, or keep it as a file. What cannot be delivered is logged: SNS does not tell the publisher either."""
    place = os.environ.get(SMTP_VARIABLE, "")
    try:
        if place:
            _send(mail, place)
        else:
            folder = Path(os.environ["STATE_DIR"]).parent / "mail"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{mail['Message-ID'].strip('<>').split('@')[0]}.eml").write_bytes(bytes(mail))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        _log.warning("The mail to %s was not delivered: %s", mail["To"], error)


def _send(mail: EmailMessage, place: str) -> None:
    host, _, port = place.rpartition(":")
    if host not in _LOOPBACK:
        raise ValueError(f"{SMTP_VARIABLE} must name a mail server of this machine, not {host}")
    with smtplib.SMTP(host, int(port), timeout=_PATIENCE_S) as server:
        server.send_message(mail)
