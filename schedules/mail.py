"""Sending one mail over SMTP: as apprise makes it, over a connection of our own that says how far it got.

Apprise's own connection says that a mail was sent or that it was not. To try again without ever sending twice one has
to know whether the server refused the mail, or may have taken it before the connection broke.
"""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from email import message_from_string

from apprise import AppriseAttachment
from apprise.plugins.email.base import NotifyEmail

from schedules.content import Message
from schedules.outcome import SendOutcome, SendResult

_SSL, _STARTTLS = "ssl", "starttls"
"""Apprise's names of the ways to secure a connection; its third is not to."""


class _RefusedError(Exception):
    """The mail server said no, or could not be reached."""


class _UnclearError(Exception):
    """The connection was lost while the mail server had the mail, or parts of it."""


def send(service: NotifyEmail, message: Message, files: AppriseAttachment, identity: str) -> SendOutcome:
    """Send the message to the service's one target and its copies, with a Message-ID made of `identity`."""
    sender = str(service.from_addr[1])
    try:
        (mail,) = NotifyEmail.prepare_emails(
            subject=message.subject,
            body=message.html,
            from_addr=service.from_addr,
            to=service.targets,
            cc=service.cc,
            bcc=service.bcc,
            reply_to=service.reply_to,
            smtp_host=service.smtp_host,
            attach=list(files) or None,
            headers={"X-Application": service.app_id, **service.headers},
            names=service.names,
            pgp=service.pgp,
            pgp_mode=service.pgp_mode,
            tzinfo=service.tzinfo,
        )
    except Exception as error:  # noqa: BLE001 - nothing was sent yet, and why it could not be made is handed on
        return SendOutcome(SendResult.REFUSED, f"the mail could not be made: {type(error).__name__}")
    whole = message_from_string(mail.body)
    whole.replace_header("Message-ID", f"<{identity}@{sender.rpartition('@')[2]}>")
    try:
        with _connected(service) as connection:
            _send(connection, sender, mail.to_addrs, whole.as_string())
    except _RefusedError as error:
        return SendOutcome(SendResult.REFUSED, str(error))
    except _UnclearError as error:
        return SendOutcome(SendResult.UNCLEAR, f"{error}, and it may have been taken")
    return SendOutcome(SendResult.SENT)


@contextlib.contextmanager
def _connected(service: NotifyEmail) -> Iterator[smtplib.SMTP]:
    """Yield a connection, secured and logged in as the URL says. Raises _RefusedError."""
    with contextlib.ExitStack() as stack:
        try:
            connection = _connection(service)
            stack.callback(_quit, connection)
            if service.secure_mode == _STARTTLS:
                connection.starttls(context=_tls(service))
            if service.user and service.password:
                connection.login(service.user, service.password)
        except smtplib.SMTPResponseException as error:
            raise _RefusedError(f"the mail server answered {error.smtp_code} to who we are") from None
        except (OSError, smtplib.SMTPException, RuntimeError) as error:
            raise _RefusedError(f"no connection to the mail server could be made: {type(error).__name__}") from None
        yield connection


def _connection(service: NotifyEmail) -> smtplib.SMTP:
    host, port, timeout = service.smtp_host, service.port or 0, service.socket_connect_timeout
    if service.secure_mode == _SSL:
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=_tls(service))
    return smtplib.SMTP(host, port, timeout=timeout)


def _tls(service: NotifyEmail) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not service.verify_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _quit(connection: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError, smtplib.SMTPException, RuntimeError):
        connection.quit()


def _send(connection: smtplib.SMTP, sender: str, to_addrs: list[str], mail: str) -> None:
    """Raises _RefusedError, after which the mail can be sent again, and _UnclearError."""
    try:
        refused = connection.sendmail(sender, to_addrs, mail)
    except smtplib.SMTPServerDisconnected:
        raise _UnclearError("the mail server closed the connection") from None
    except smtplib.SMTPResponseException as error:
        raise _RefusedError(f"the mail server answered {error.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({str(code) for code, _ in error.recipients.values()})
        raise _RefusedError(f"the mail server answered {', '.join(codes)}") from None
    except (smtplib.SMTPException, ValueError) as error:
        raise _RefusedError(f"the mail could not be sent: {type(error).__name__}") from None
    except OSError:
        raise _UnclearError("the connection to the mail server broke, or was silent for too long") from None
    if to_addrs[0] in refused:
        raise _UnclearError(f"the mail server answered {refused[to_addrs[0]][0]} to the address, and took the copies")
