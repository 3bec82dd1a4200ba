"""Where the settings say that the log's checkpoints go. Loaded only where they say so."""

from __future__ import annotations

import os
from collections.abc import Iterator

from counterfoil.errors import StoreFailed
from counterfoil_server import key_files
from counterfoil_server.config import Configuration
from counterfoil_server.publishing.cosigning import Witness
from counterfoil_server.publishing.history import check_history
from counterfoil_server.publishing.publisher import Publisher, logger
from counterfoil_server.publishing.targets import FILE_NAME, FileTarget, GitTarget, Target, URLTarget, read_file
from counterfoil_server.store.sealer import Sealer


async def open_publisher(configuration: Configuration, sealer: Sealer) -> Publisher:
    """The publisher of the log; raises :class:`TamperDetected` where a file or git folder, or the cosigned checkpoint
    in the state folder, is not of this log as it is here. What lies elsewhere is asked later."""
    settings = configuration.settings.log
    publisher = Publisher(
        sealer,
        configuration.state / key_files.COSIGNED,
        targets=[*_near(configuration), *_far(configuration)],
        witnesses=[Witness(each.url, each.verifier) for each in settings.witnesses],
        quorum=settings.enough,
        every=settings.every,
    )
    await publisher.load()
    for target in _near(configuration):
        try:
            note = await target.read()
        except OSError as error:
            logger.error("%s cannot be read, and is not compared with the log: %s", target.name, error.strerror)
            continue
        if note is not None:
            await check_history(note, sealer, target.name)
    sealer.on_sealed.append(publisher.wake)
    return publisher


def set_aside(configuration: Configuration, now: int) -> None:
    """Rename what was published of the log that ends here, in files and git folders: the next one has another name.

    Raises StoreFailed.
    """
    settings = configuration.settings.log
    files = [configuration.state / key_files.COSIGNED]
    files += [configuration.folder / settings.publish_file] if settings.publish_file else []
    files += [configuration.folder / settings.publish_git / FILE_NAME] if settings.publish_git else []
    for file in files:
        try:
            if read_file(file) is not None:
                file.replace(file.with_name(f"{file.name}.until-{now}"))
        except OSError as error:
            raise StoreFailed(
                f"{file} cannot be set aside: {error.strerror}. The log goes on as it was.",
                "Mend the file's rights or its disk, or rename it yourself, and try again.",
            ) from None


def _near(configuration: Configuration) -> Iterator[Target]:
    """What is on a disk of this machine."""
    settings = configuration.settings.log
    if settings.publish_file:
        yield FileTarget(configuration.folder / settings.publish_file)
    if settings.publish_git:
        yield GitTarget(configuration.folder / settings.publish_git)


def _far(configuration: Configuration) -> Iterator[Target]:
    settings = configuration.settings.log
    if settings.publish_url:
        yield URLTarget(settings.publish_url, os.environ.get(settings.publish_token_env))
