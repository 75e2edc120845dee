"""The record sets of a route in Route 53: read, and changed from exactly what was read."""

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from control_plane import aws
from control_plane.errors import RouteRefused
from control_plane.models import JsonObject, Tenant

TTL_SECONDS = 60
"""How long a resolver may keep an answer: a change of weights acts after that."""


@dataclass(frozen=True)
class Record:
    """One weighted record: the host name that it leads to, and its weight of 100."""

    target: str
    weight: int
    ttl: int = TTL_SECONDS


Records = dict[str, Record]
"""A route's records by organization."""


@dataclass(frozen=True)
class Zone:
    """The records of one route in a hosted zone. `name`: the route's, without a dot at its end."""

    id: str
    name: str
    of: Tenant

    def read(self) -> Records:
        """The route's records, by organization.

        Raises RouteRefused when there is no such zone, and for a record of that name which is not
        this route's: a CNAME stands alone.
        """
        try:
            answer = aws.route53().list_resource_record_sets(
                HostedZoneId=self.id, StartRecordName=self.name, MaxItems="100"
            )
        except ClientError as error:
            raise self._refused(error) from error
        found = {}
        for item in answer["ResourceRecordSets"]:
            if item["Name"].rstrip(".") != self.name:
                break  # sorted by name
            org = self._org(item)
            target = item["ResourceRecords"][0]["Value"].rstrip(".")
            found[org] = Record(target, int(item["Weight"]), int(item["TTL"]))
        return found

    def change(self, live: Records, wanted: Records, why: str) -> bool:
        """Bring the records from what was read to what is wanted, in one transaction.

        False, and nothing has changed, when they are not what was read any more: a deletion must
        name what there is, and what is created must not be there (Route 53 API reference,
        ChangeResourceRecordSets). Raises RouteRefused when Route 53 does not take them.
        """
        if live == wanted:
            return True
        gone = [org for org in live if wanted.get(org) != live[org]]
        new = [org for org in wanted if live.get(org) != wanted[org]]
        changes = [{"Action": "DELETE", "ResourceRecordSet": self._set(o, live[o])} for o in gone]
        changes += [{"Action": "CREATE", "ResourceRecordSet": self._set(o, wanted[o])} for o in new]
        try:
            aws.route53().change_resource_record_sets(
                HostedZoneId=self.id, ChangeBatch={"Comment": why[:256], "Changes": changes}
            )
        except ClientError as error:
            if aws.error_code(error) == "InvalidChangeBatch":
                now = self.read()
                if now == wanted:
                    return True  # the first of two attempts did it, and its answer was lost
                if now != live:
                    return False
            raise self._refused(error) from error
        return True

    def _set(self, org: str, record: Record) -> JsonObject:
        return {
            "Name": self.name,
            "Type": "CNAME",
            "SetIdentifier": self._identifier(org),
            "Weight": record.weight,
            "TTL": record.ttl,
            "ResourceRecords": [{"Value": record.target}],
        }

    def _identifier(self, org: str) -> str:
        """The name of the tenant's stack."""
        return self.of.model_copy(update={"org": org}).stack_name

    def _org(self, item: Mapping[str, object]) -> str:
        own = self._identifier(self.of.org)
        identifier = str(item.get("SetIdentifier", ""))
        is_own = identifier == own or identifier.startswith(f"{own}-")
        if item["Type"] == "CNAME" and "Weight" in item and is_own:
            return self.of.org + identifier.removeprefix(own)
        raise RouteRefused(
            f"{self.name} has a {item['Type']} record {identifier or 'without a weight'} that is "
            f"not of this route: remove it from the hosted zone {self.id} first"
        )

    def _refused(self, error: ClientError) -> Exception:
        """What Route 53 will not do, in a line; other errors as they are."""
        match aws.error_code(error):
            case "NoSuchHostedZone":
                return RouteRefused(
                    f"there is no hosted zone {self.id}: 'syndi install --hosted-zone' names it"
                )
            case "InvalidChangeBatch" | "InvalidInput":
                told = error.response["Error"].get("Message", "")
                return RouteRefused(f"Route 53 does not take the records of {self.name}: {told}")
            case _:
                return error


def weights_of(records: Mapping[str, Record]) -> dict[str, int]:
    """The weights alone."""
    return {org: record.weight for org, record in records.items()}
