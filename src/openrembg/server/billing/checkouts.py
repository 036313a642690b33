"""Purchases: a Checkout session that was paid tops prepaid credits up, once.

Money that goes back takes credits back in proportion. A refund may be told of before the purchase:
the payment's row is locked while either is kept, so that whichever is the second sees both.
"""

from typing import Final

from openrembg.server.billing.customers import locked_customer, user_at, user_named
from openrembg.server.billing.events import ReversalTold, SessionTold
from openrembg.server.billing.models import Checkout, Customer, Payment, Reversal
from openrembg.server.quota import ledger

NOTE: Final = "Stripe"
# A reference has room for as much of a payment's name, and a number.
MAX_NAME: Final = 200


def merge_session(told: SessionTold, created: int) -> list[Checkout]:
    """Keep what an event tells of a session, and link the customer that it names.

    Returns what is to be settled now: the session, and what had waited for the customer.
    """
    customer = locked_customer(told.customer_id) if told.customer_id else None
    lock_payment(told.payment_intent)
    defaults = {"mode": told.mode, "created": created}
    locking = Checkout.objects.select_for_update()
    checkout, _ = locking.get_or_create(pk=told.session_id, defaults=defaults)
    _fill(checkout, told, created)
    if checkout.user_id is None:
        checkout.user_id = buyer(checkout, customer)
    checkout.save()
    user_id = checkout.user_id if tells_buyer(checkout) else None
    if customer is None or customer.user_id is not None or user_id is None:
        return [checkout]
    return [checkout, *adopt(customer, user_id)]


def merge_reversal(told: ReversalTold) -> list[Checkout]:
    """Keep what an event tells of money that went back, and return the purchase, if it is known."""
    lock_payment(told.payment_intent)
    facts = {"payment_intent": told.payment_intent, "amount": told.amount}
    row, is_new = Reversal.objects.get_or_create(pk=told.stripe_id, defaults=facts)
    if not is_new and row.amount < told.amount:
        row.amount = told.amount
        row.save(update_fields=("amount",))
    return list(Checkout.objects.filter(payment_intent=told.payment_intent))


def buyer(checkout: Checkout, customer: Customer | None) -> int | None:
    """Return whose a purchase is: of whom it names, of whom the customer is, of the address."""
    linked = None if customer is None else customer.user_id
    return user_named(checkout.reference) or linked or user_at(checkout.email)


def tells_buyer(checkout: Checkout) -> bool:
    """Whether a purchase tells by itself whose it is, as it is: no operator had to say so."""
    return checkout.user_id is not None and buyer(checkout, None) == checkout.user_id


def adopt(customer: Customer, user_id: int) -> list[Checkout]:
    """Make a locked customer a user's, and return the purchases that had waited for that."""
    customer.user_id = user_id
    customer.save(update_fields=("user",))
    waiting = list(Checkout.objects.filter(customer_id=customer.pk, user=None).order_by("pk"))
    for checkout in waiting:
        lock_payment(checkout.payment_intent)
        checkout.user_id = user_id
        checkout.save(update_fields=("user",))
    return waiting


def lock_payment(payment_intent: str) -> None:
    """Lock a payment's row until the transaction ends."""
    if payment_intent:
        Payment.objects.select_for_update().get_or_create(pk=payment_intent)


def settle(checkout: Checkout, note: str = NOTE) -> bool:
    """Let a purchase and what went back of it be in the ledger, each once.

    The payment is locked. Returns whether something was new. Raises AccountGone for a user who is
    gone.
    """
    user_id, credits_ = checkout.user_id, checkout.credits
    if checkout.mode != "payment" or user_id is None or not credits_ or not checkout.is_paid:
        return False
    is_new = ledger.top_up(user_id, credits_, reference=checkout.pk, note=note)
    due = _due_back(checkout, credits_)
    if due <= checkout.taken_back:
        return is_new
    # Named by all that is due by now: however it came to that, it is taken once.
    reference = f"{checkout.payment_intent[-MAX_NAME:]}:{due}"
    ledger.take_back(user_id, due - checkout.taken_back, reference=reference, note=note)
    checkout.taken_back = due
    checkout.save(update_fields=("taken_back",))
    return True


def _fill(checkout: Checkout, told: SessionTold, created: int) -> None:
    """Write what a session tells; what an operator or an earlier event said of it stays."""
    checkout.created = min(checkout.created, created)
    checkout.is_paid = checkout.is_paid or told.is_paid
    checkout.customer_id = told.customer_id or checkout.customer_id
    checkout.subscription_id = told.subscription_id or checkout.subscription_id
    checkout.payment_intent = told.payment_intent or checkout.payment_intent
    checkout.reference = told.reference or checkout.reference
    checkout.email = told.email or checkout.email
    checkout.amount = max(checkout.amount, told.amount)
    checkout.currency = told.currency or checkout.currency
    checkout.credits = checkout.credits or told.credits


def _due_back(checkout: Checkout, credits_: int) -> int:
    """Return how many credits the money is worth that went back, rounded down."""
    if checkout.amount == 0 or not checkout.payment_intent:
        return 0
    gone = Reversal.objects.filter(payment_intent=checkout.payment_intent)
    total = sum(gone.values_list("amount", flat=True))
    return credits_ * min(total, checkout.amount) // checkout.amount
