"""Takes a static member out of its group, so that scaling down need not wait for its session to end."""

import logging
from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError, UnknownMemberIdError

log = logging.getLogger(__name__)


def leave(config: Mapping[str, Any], group: str, instance: str) -> bool:
    """Remove a stopped worker from its group and return whether the broker did so.

    A static member does not leave when it stops, for it is expected back; its partitions rest until then or
    until the session times out.

    Parameters
    ----------
    config
        kafka-python settings that reach the broker.
    group, instance
        The group, and the worker's name in it.
    """
    try:
        admin = KafkaAdminClient(**config)
        try:
            removed = admin.remove_group_members(group, [MemberToRemove(group_instance_id=instance)])
        finally:
            admin.close()
    except KafkaError as error:
        log.warning("could not leave group %s: %s; it waits for the session to end", group, error)
        return False
    refused = [error for error in removed.values() if error.errno not in (0, UnknownMemberIdError.errno)]
    if refused:
        log.warning("could not leave group %s: %s", group, refused[0].__name__)
    return not refused
