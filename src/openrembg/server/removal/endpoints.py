"""POST /rmbg: the way of one request, from who is asking to the picture."""

import time

from django.http import HttpRequest, HttpResponse

from openrembg.matting.matter import Matter
from openrembg.matting.pipeline import Cutout, cut_out
from openrembg.server.accounts.asking import Anonymous, Member, who_is_asking
from openrembg.server.database import give_back_connection
from openrembg.server.errors import ClientGone
from openrembg.server.observability.metrics import count_credit, count_picture, count_replay
from openrembg.server.observability.stages import note_steps, stage
from openrembg.server.quota import receipts
from openrembg.server.quota.headers import begin_visit
from openrembg.server.quota.visits import PaidVisit
from openrembg.server.removal.answer import picture_answer
from openrembg.server.removal.retries import attempt
from openrembg.server.removal.work import Work, client_gone, read_work
from openrembg.server.sending import how_to_register
from openrembg.server.service import service


def remove_background(request: HttpRequest) -> HttpResponse:
    """Answer with the cut-out of the uploaded picture.

    Raises PublicError or MattingError; server/api.py makes the answer of either.
    """
    with stage("authenticate"):
        caller = who_is_asking(request)
    visit = begin_visit(request, caller)
    if isinstance(caller, Member):
        caller.require_verified()
    with attempt(request, caller) as this:
        if this.answer is not None:
            count_replay()
            return this.answer
        with stage("limits"):
            visit.count_request()
            if this.paid_from is not None:
                visit = PaidVisit(visit, this.paid_from)
            visit.check_left()
        with stage("read"):
            work = read_work(request)
        register = how_to_register(request.META)
        # A kept answer is its user's, sent or not: the retry gets it, for nothing.
        waits = register is not None and this.place is None
        with visit.hold() as credit:
            matter = service().backend.matter(give_back_connection)
            cutout = _compute(request, caller, work, matter)
            with stage("settle"), visit.settling():
                if cutout.foreground_detected:
                    credit.charge(receipts.running() if waits else None)
                else:
                    credit.release()
                answer = picture_answer(cutout, work, credit.source, matter.provider)
                this.keep(answer, costs=cutout.foreground_detected)
            if cutout.foreground_detected and this.paid_from is None:
                count_credit("charged", credit.source)
            if register is not None and credit.receipt is not None:
                register(credit.receipt)
            return answer


def _compute(
    request: HttpRequest, caller: Anonymous | Member, work: Work, matter: Matter
) -> Cutout:
    """Wait for a slot and cut out. Raises ClientGone when nobody waits for the answer any more."""
    house, gone = service(), client_gone(request)
    with house.slots.admit(work.pixels, _who(caller), gone, before_waiting=give_back_connection):
        began_ns, source = time.time_ns(), work.picture.source()
        cutout = cut_out(
            source, work.options, matter, estimate_foreground=house.estimate_foreground
        )
    note_steps(cutout.timings, began_ns, model=matter.model, provider=matter.provider)
    count_picture(
        source.header.format,
        work.options.format,
        source.header.pixels,
        is_found=cutout.foreground_detected,
    )
    if gone is not None and gone():
        raise ClientGone("left before the first byte")
    return cutout


def _who(caller: Anonymous | Member) -> str | int:
    """Return whose turn it is: a user's, whichever credential was sent, or a network's."""
    return caller.payer.user_id if isinstance(caller, Member) else caller.block
