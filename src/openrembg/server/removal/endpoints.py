"""POST /rmbg: the way of one request, from who is asking to the picture."""

from django.http import HttpRequest, HttpResponse

from openrembg.matting.pipeline import cut_out
from openrembg.server.accounts.asking import who_is_asking
from openrembg.server.errors import ClientGone
from openrembg.server.observability.metrics import count_stages
from openrembg.server.quota.headers import begin_visit
from openrembg.server.removal.answer import picture_answer
from openrembg.server.removal.work import client_gone, read_work
from openrembg.server.service import service


def remove_background(request: HttpRequest) -> HttpResponse:
    """Answer with the cut-out of the uploaded picture.

    Raises PublicError or MattingError; server/api.py makes the answer of either.
    """
    house, gone = service(), client_gone(request)
    visit = begin_visit(request, who_is_asking(request).block)
    visit.count_request()
    visit.check_day()
    work = read_work(request)
    with visit.reserved():
        matter = house.backend.matter()
        with house.slots.admit(work.pixels, gone):
            cutout = cut_out(
                work.picture.source(),
                work.options,
                matter,
                estimate_foreground=house.estimate_foreground,
            )
        count_stages(cutout.timings)
        if gone is not None and gone():
            raise ClientGone("left before the first byte")
        if not cutout.foreground_detected:
            visit.release()
        return picture_answer(cutout, work.picture.filename, work.options.format, matter.provider)
