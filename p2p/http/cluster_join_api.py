"""How a member answers nodes that are in no cluster yet: who it is, and whether it lets them in.

GET  /cluster/who      its card
POST /cluster/adopt    an id that somebody proposes; its card says that it is in a cluster
POST /cluster/join     a record that the node has signed; what it needs to begin, or why it is refused
"""

from aiohttp import web

from p2p.http.errors import body_of
from p2p.http.guard import PEER, Refused
from p2p.http.json_answer import Handlers, json_answer
from p2p.membership.admission import Admission, AdmissionRefused, JoinForm
from p2p.membership.bootstrap import Adoption


def cluster_join_handlers(admission: Admission) -> Handlers:
    """The handlers."""

    async def who(_request: web.Request) -> web.Response:
        return json_answer(admission.card())

    async def adopt(request: web.Request) -> web.Response:
        await body_of(request, Adoption)
        return json_answer(admission.card())

    async def join(request: web.Request) -> web.Response:
        form = await body_of(request, JoinForm)
        try:
            return json_answer(await admission.admit(form, request[PEER].address))
        except AdmissionRefused as error:
            raise Refused(error.refusal) from None

    return {"GET /cluster/who": who, "POST /cluster/adopt": adopt, "POST /cluster/join": join}
