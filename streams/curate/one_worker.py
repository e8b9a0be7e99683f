"""Who of a group works: one worker has all the partitions, the others stand by without any.

Half of the partitions would be half a pool. So Faust's assignor, which the group's leader runs at
each rebalance, is asked for the share of one member alone. That is the member that has the
partitions already: a worker that comes back does not take the work from the one that stood in for
it. Where none has them the first by name begins.

A member tells the leader itself what it has. One that slept for longer than its session, and is
back in the group before it ended itself, would still tell of partitions that another has by now;
so whoever the broker put out of the group tells of none.
"""

from collections.abc import MutableMapping
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientAssignment

_OUT_OF_THE_GROUP = OffsetCommitRequest.DEFAULT_GENERATION_ID


class OneWorker(PartitionAssignor):
    """Faust's partition assignor, but for who gets what. Members are named by the broker, after
    their static name in the group."""

    def metadata(self, topics: set[str]) -> ConsumerProtocolMemberMetadata:
        consumer: Any = self.app.consumer  # neither Faust nor aiokafka tells that they are lost
        if consumer._thread._ensure_consumer()._coordinator.generation == _OUT_OF_THE_GROUP:
            self._assignment = ClientAssignment(actives={}, standbys={})
        return super().metadata(topics)

    def _perform_assignment(
        self,
        cluster: ClusterMetadata,
        member_metadata: MutableMapping[str, ConsumerProtocolMemberMetadata],
    ) -> MutableMapping[str, ConsumerProtocolMemberAssignment]:
        members = {name: self._get_client_metadata(m) for name, m in member_metadata.items()}
        working = min(members, key=lambda name: (not members[name].assignment.actives, name))
        found = super()._perform_assignment(cluster, {working: member_metadata[working]})
        self._update_member_urls(members)
        nothing = {name: ClientAssignment(actives={}, standbys={}) for name in members}
        return {**self._protocol_assignments(nothing, {}, {}, {}), **found}
