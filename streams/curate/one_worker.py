"""Who of a group works: one worker has all the partitions, the others stand by without any.

Half of the partitions would be half a pool. So Faust's assignor, which the group's leader runs at
each rebalance, is asked for the share of one member alone. That is the member that has the
partitions already: a worker that comes back does not take the work from the one that stood in for
it. Where none has them the first by name begins.
"""

from collections.abc import MutableMapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientAssignment


class OneWorker(PartitionAssignor):
    """Faust's partition assignor, but for who gets what. Members are named by the broker, after
    their static name in the group."""

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
