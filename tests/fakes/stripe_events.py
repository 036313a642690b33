"""Stripe's events as Stripe sends them, written from its API reference; in both shapes.

    2024-06-20         a subscription has one period; an invoice names its subscription itself
    2025-03-31.basil   each item has a period; an invoice has a parent, a line has a pricing

https://docs.stripe.com/api/events, …/subscriptions/object, …/invoices/object,
…/checkout/sessions/object, …/charges/object, …/disputes/object, and the changelog of 2025-03-31:
https://docs.stripe.com/changelog/basil. Moments are Unix seconds.
"""

import hashlib
import hmac
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

Shape = Literal["2024-06-20", "2025-03-31.basil"]
OLD: Final[Shape] = "2024-06-20"
BASIL: Final[Shape] = "2025-03-31.basil"
SHAPES: Final[tuple[Shape, ...]] = (OLD, BASIL)

DAY_S: Final = 86_400
MONTH_S: Final = 30 * DAY_S

# What an event, or a part of one, is: JSON. A test may bend it.
Event = dict[str, Any]
Part = dict[str, Any]

_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Item:
    """What is subscribed to. start, end: its own period; None: the subscription's."""

    price: str
    amount: int = 900
    start: int | None = None
    end: int | None = None
    interval: str = "month"
    interval_count: int = 1


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription at one moment. items: in the place of `price`, for none or several."""

    id: str
    customer: str
    start: int
    end: int
    price: str = "price_basic"
    status: str = "active"
    amount: int = 900
    interval: str = "month"
    interval_count: int = 1
    items: tuple[Item, ...] | None = None
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    ended_at: int | None = None
    trial_end: int | None = None

    @property
    def all_items(self) -> tuple[Item, ...]:
        """What is subscribed to."""
        if self.items is not None:
            return self.items
        one = Item(
            self.price,
            self.amount,
            interval=self.interval,
            interval_count=self.interval_count,
        )
        return (one,)


@dataclass(frozen=True, slots=True)
class Stripe:
    """An account of Stripe's whose events have one shape; flexible: its billing mode."""

    shape: Shape = BASIL
    flexible: bool = False

    @property
    def is_old(self) -> bool:
        """Whether the shape is the one before 2025-03-31."""
        return self.shape == OLD

    def event(
        self,
        kind: str,
        about: Part,
        *,
        created: int,
        previous: Part | None = None,
        event_id: str | None = None,
    ) -> Event:
        """Return an event of any type. previous: what an update changed."""
        data: Part = {"object": about}
        if previous is not None:
            data["previous_attributes"] = previous
        number = next(_serial)
        return {
            "id": event_id or f"evt_1Q{number:09d}Lk3",
            "object": "event",
            "api_version": self.shape,
            "created": created,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": f"req_{number:014d}", "idempotency_key": None},
            "type": kind,
        }

    def subscription_created(self, sub: Subscribed, *, created: int, **changes: Any) -> Event:
        """Return customer.subscription.created. changes: of the subscription's fields."""
        now = replace(sub, **changes)
        return self.event("customer.subscription.created", self.subscription(now), created=created)

    def subscription_updated(
        self,
        sub: Subscribed,
        *,
        created: int,
        before: Subscribed | None = None,
        **changes: Any,
    ) -> Event:
        """Return customer.subscription.updated. before: what it was, for previous_attributes."""
        now = replace(sub, **changes)
        about = self.subscription(now)
        old = self.subscription(before or replace(now, start=now.start - MONTH_S, end=now.start))
        previous = {name: value for name, value in old.items() if about[name] != value}
        return self.event(
            "customer.subscription.updated", about, created=created, previous=previous
        )

    def subscription_deleted(self, sub: Subscribed, *, created: int, **changes: Any) -> Event:
        """Return customer.subscription.deleted: it has ended by now."""
        ended = {"status": "canceled", "canceled_at": created, "ended_at": created, **changes}
        about = self.subscription(replace(sub, **ended))
        return self.event("customer.subscription.deleted", about, created=created)

    def invoice_paid(self, sub: Subscribed, *, created: int, **more: Any) -> Event:
        """Return invoice.paid. more: what `invoice` takes."""
        about = self.invoice(sub, created=created, status="paid", **more)
        return self.event("invoice.paid", about, created=created)

    def invoice_payment_succeeded(self, sub: Subscribed, *, created: int, **more: Any) -> Event:
        """Return invoice.payment_succeeded, which comes beside invoice.paid."""
        about = self.invoice(sub, created=created, status="paid", **more)
        return self.event("invoice.payment_succeeded", about, created=created)

    def invoice_payment_failed(self, sub: Subscribed, *, created: int, **more: Any) -> Event:
        """Return invoice.payment_failed: Stripe will try again."""
        about = self.invoice(sub, created=created, status="open", **more)
        return self.event("invoice.payment_failed", about, created=created)

    def checkout_completed(self, session: str, *, created: int, **more: Any) -> Event:
        """Return checkout.session.completed. more: what `session` takes."""
        about = self.session(session, created=created, **more)
        return self.event("checkout.session.completed", about, created=created)

    def checkout_paid_later(self, session: str, *, created: int, **more: Any) -> Event:
        """Return checkout.session.async_payment_succeeded: the money came after the session."""
        about = self.session(session, created=created, **more)
        return self.event("checkout.session.async_payment_succeeded", about, created=created)

    def charge_refunded(self, charge: str, *, created: int, **more: Any) -> Event:
        """Return charge.refunded. more: what `charge` takes."""
        about = self.charge(charge, created=created, **more)
        return self.event("charge.refunded", about, created=created)

    def dispute_created(self, dispute: str, *, created: int, **more: Any) -> Event:
        """Return charge.dispute.created. more: what `dispute` takes."""
        about = self.dispute(dispute, created=created, **more)
        return self.event("charge.dispute.created", about, created=created)

    def customer_created(self, customer: str, *, created: int, email: str = "") -> Event:
        """Return customer.created, which means nothing to us."""
        about: Part = {
            "id": customer,
            "object": "customer",
            "address": None,
            "balance": 0,
            "created": created,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": email or None,
            "invoice_prefix": "0759376C",
            "livemode": False,
            "metadata": {},
            "name": None,
            "preferred_locales": ["en"],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
        }
        return self.event("customer.created", about, created=created)

    def subscription(self, sub: Subscribed) -> Part:
        """Return a subscription object."""
        items = [self._item(sub, number, item) for number, item in enumerate(sub.all_items)]
        about: Part = {
            "id": sub.id,
            "object": "subscription",
            "application": None,
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": sub.start,
            "billing_cycle_anchor_config": None,
            "billing_thresholds": None,
            "cancel_at": sub.end if sub.cancel_at_period_end else sub.cancel_at,
            "cancel_at_period_end": sub.cancel_at_period_end,
            "canceled_at": sub.canceled_at,
            "cancellation_details": {"comment": None, "feedback": None, "reason": None},
            "collection_method": "charge_automatically",
            "created": sub.start,
            "currency": "eur",
            "customer": sub.customer,
            "days_until_due": None,
            "default_payment_method": "pm_1QLk3card",
            "default_source": None,
            "default_tax_rates": [],
            "description": None,
            "discounts": [],
            "ended_at": sub.ended_at,
            "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
            "items": {
                "object": "list",
                "data": items,
                "has_more": False,
                "total_count": len(items),
                "url": f"/v1/subscription_items?subscription={sub.id}",
            },
            "latest_invoice": f"in_{sub.id}_{sub.start}",
            "livemode": False,
            "metadata": {},
            "next_pending_invoice_item_invoice": None,
            "on_behalf_of": None,
            "pause_collection": None,
            "payment_settings": {
                "payment_method_options": None,
                "payment_method_types": None,
                "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": None,
            "pending_setup_intent": None,
            "pending_update": None,
            "schedule": None,
            "start_date": sub.start,
            "status": sub.status,
            "test_clock": None,
            "transfer_data": None,
            "trial_end": sub.trial_end,
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            "trial_start": None if sub.trial_end is None else sub.start,
        }
        if not self.is_old:
            mode = "flexible" if self.flexible else "classic"
            return about | {"billing_mode": {"type": mode}, "customer_account": None}
        return about | {
            "current_period_end": sub.end,
            "current_period_start": sub.start,
            "discount": None,
            "plan": items[0]["plan"] if len(items) == 1 else None,
            "quantity": 1 if len(items) == 1 else None,
        }

    def invoice(
        self,
        sub: Subscribed | None,
        *,
        created: int,
        status: str,
        reason: str = "subscription_cycle",
        prorated: Sequence[Part] = (),
        renews: bool = True,
        customer: str = "",
    ) -> Part:
        """Return an invoice. sub: None for one about something else.

        prorated: lines of `proration`, which come first. renews: it has lines about a whole period;
        one that was made for an upgrade alone has not.
        """
        number = f"in_{sub.id}_{sub.start}" if sub else f"in_alone_{created}"
        lines = list(prorated)
        if sub is not None and renews:
            lines += [self._line(number, sub, n, i) for n, i in enumerate(sub.all_items)]
        if sub is None:
            lines.append(self._lone_line(number, created))
        is_paid = status == "paid"
        total = sum(line["amount"] for line in lines)
        # Of a renewal: the period before, in which usage was added up; lines have the new one.
        begins = created if sub is None or reason != "subscription_cycle" else sub.start - MONTH_S
        ends = created if sub is None or reason != "subscription_cycle" else sub.start
        about: Part = {
            "id": number,
            "object": "invoice",
            "account_country": "DE",
            "account_name": "Cut-outs",
            "account_tax_ids": None,
            "amount_due": total,
            "amount_paid": total if is_paid else 0,
            "amount_remaining": 0 if is_paid else total,
            "amount_shipping": 0,
            "application": None,
            "attempt_count": 1,
            "attempted": True,
            "auto_advance": not is_paid,
            "automatic_tax": {"enabled": False, "liability": None, "status": None},
            "billing_reason": reason if sub else "manual",
            "collection_method": "charge_automatically",
            "created": created - 3600,
            "currency": "eur",
            "custom_fields": None,
            "customer": sub.customer if sub else customer,
            "customer_address": None,
            "customer_email": "jenny.rosen@example.com",
            "customer_name": "Jenny Rosen",
            "customer_tax_exempt": "none",
            "default_payment_method": None,
            "default_source": None,
            "description": None,
            "discounts": [],
            "due_date": None,
            "effective_at": created - 3600,
            "ending_balance": 0,
            "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1/test_1",
            "invoice_pdf": "https://pay.stripe.com/invoice/acct_1/test_1/pdf",
            "lines": {
                "object": "list",
                "data": lines,
                "has_more": False,
                "total_count": len(lines),
                "url": f"/v1/invoices/{number}/lines",
            },
            "livemode": False,
            "metadata": {},
            "next_payment_attempt": None if is_paid else created + 3 * DAY_S,
            "number": "0759376C-0002",
            "on_behalf_of": None,
            "period_end": ends,
            "period_start": begins,
            "starting_balance": 0,
            "status": status,
            "status_transitions": {
                "finalized_at": created - 3600,
                "marked_uncollectible_at": None,
                "paid_at": created if is_paid else None,
                "voided_at": None,
            },
            "subtotal": total,
            "test_clock": None,
            "total": total,
            "webhooks_delivered_at": created - 3600,
        }
        return about | self._of_invoice(sub, is_paid=is_paid)

    def proration(self, sub: Subscribed, price: str, amount: int, *, at: int) -> Part:
        """Return an invoice's line about the rest of a period, from a change in its middle on.

        A negative amount gives back what the old price had taken.
        """
        number = f"in_{sub.id}_{sub.start}"
        words = "Unused" if amount < 0 else "Remaining"
        line = self._line(number, sub, next(_serial), Item(price, amount, at, sub.end))
        line |= {"description": f"{words} time on 1 × {price}", "discountable": False}
        if self.is_old:
            return line | {"type": "invoiceitem", "proration": True, "invoice_item": "ii_1QLk3"}
        if self.flexible:
            line["parent"]["subscription_item_details"]["proration"] = True
            return line
        parent = {
            "invoice_item_details": {
                "invoice_item": "ii_1QLk3",
                "proration": True,
                "proration_details": {"credited_items": None},
                "subscription": sub.id,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
        return line | {"parent": parent}

    def session(
        self,
        session: str,
        *,
        created: int,
        mode: str = "payment",
        payment_status: str = "paid",
        customer: str | None = None,
        reference: str | None = None,
        email: str | None = "jenny.rosen@example.com",
        credits_: object = None,
        amount: int = 900,
        payment_intent: str | None = None,
        subscription: str | None = None,
    ) -> Part:
        """Return a Checkout session that was completed.

        credits_: what metadata.openrembg_credits says; None: nothing.
        """
        about: Part = {
            "id": session,
            "object": "checkout.session",
            "after_expiration": None,
            "allow_promotion_codes": None,
            "amount_subtotal": amount,
            "amount_total": amount,
            "automatic_tax": {"enabled": False, "liability": None, "status": None},
            "billing_address_collection": None,
            "cancel_url": "https://cutouts.example/en/billing/canceled",
            "client_reference_id": reference,
            "client_secret": None,
            "consent": None,
            "consent_collection": None,
            "created": created - 60,
            "currency": "eur",
            "custom_fields": [],
            "customer": customer,
            "customer_creation": "if_required" if mode == "payment" else "always",
            "customer_details": {
                "address": {
                    "city": None,
                    "country": "DE",
                    "line1": None,
                    "line2": None,
                    "postal_code": None,
                    "state": None,
                },
                "email": email,
                "name": "Jenny Rosen",
                "phone": None,
                "tax_exempt": "none",
                "tax_ids": [],
            },
            "customer_email": None,
            "expires_at": created - 60 + DAY_S,
            "invoice": None if mode == "payment" else f"in_{subscription}_{created}",
            "invoice_creation": {"enabled": False} if mode == "payment" else None,
            "livemode": False,
            "locale": None,
            "metadata": {} if credits_ is None else {"openrembg_credits": credits_},
            "mode": mode,
            "payment_intent": payment_intent if mode == "payment" else None,
            "payment_link": None,
            "payment_method_collection": "if_required" if mode == "payment" else "always",
            "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
            "payment_method_types": ["card", "sepa_debit"],
            "payment_status": payment_status,
            "phone_number_collection": {"enabled": False},
            "recovered_from": None,
            "saved_payment_method_options": None,
            "setup_intent": None,
            "shipping_address_collection": None,
            "shipping_cost": None,
            "shipping_options": [],
            "status": "complete",
            "submit_type": None,
            "subscription": subscription,
            "success_url": "https://cutouts.example/en/billing/done",
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted",
            "url": None,
        }
        if self.is_old:
            return about | {"shipping_details": None}
        return about | {"collected_information": {"shipping_details": None}, "permissions": None}

    def charge(
        self,
        charge: str,
        *,
        created: int,
        payment_intent: str | None,
        refunded: int,
        amount: int = 900,
        customer: str | None = None,
        disputed: bool = False,
    ) -> Part:
        """Return a charge. refunded: the sum of all its refunds by now."""
        about: Part = {
            "id": charge,
            "object": "charge",
            "amount": amount,
            "amount_captured": amount,
            "amount_refunded": refunded,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": "txn_1QLk3",
            "billing_details": {"address": {"country": "DE"}, "email": None, "name": None},
            "calculated_statement_descriptor": "CUTOUTS",
            "captured": True,
            "created": created - DAY_S,
            "currency": "eur",
            "customer": customer,
            "description": None,
            "disputed": disputed,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "fraud_details": {},
            "livemode": False,
            "metadata": {},
            "on_behalf_of": None,
            "outcome": {
                "network_status": "approved_by_network",
                "reason": None,
                "risk_level": "normal",
                "seller_message": "Payment complete.",
                "type": "authorized",
            },
            "paid": True,
            "payment_intent": payment_intent,
            "payment_method": "pm_1QLk3card",
            "payment_method_details": {"card": {"brand": "visa", "last4": "4242"}, "type": "card"},
            "receipt_email": None,
            "receipt_number": None,
            "receipt_url": "https://pay.stripe.com/receipts/payment/1",
            "refunded": refunded == amount,
            "review": None,
            "shipping": None,
            "source": None,
            "source_transfer": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "succeeded",
            "transfer_data": None,
            "transfer_group": None,
        }
        return about | {"invoice": None} if self.is_old else about

    def dispute(
        self,
        dispute: str,
        *,
        created: int,
        payment_intent: str | None,
        amount: int = 900,
        charge: str = "ch_3QLk3",
    ) -> Part:
        """Return a dispute. amount: what is disputed, often the whole charge."""
        return {
            "id": dispute,
            "object": "dispute",
            "amount": amount,
            "balance_transactions": [],
            "charge": charge,
            "created": created,
            "currency": "eur",
            "enhanced_eligibility_types": [],
            "evidence": {"access_activity_log": None, "customer_email_address": None},
            "evidence_details": {
                "due_by": created + 9 * DAY_S,
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": payment_intent,
            "payment_method_details": {
                "card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "83"},
                "type": "card",
            },
            "reason": "fraudulent",
            "status": "needs_response",
        }

    def _item(self, sub: Subscribed, number: int, item: Item) -> Part:
        about: Part = {
            "id": f"si_{sub.id}_{number}",
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": sub.start,
            "discounts": [],
            "metadata": {},
            "plan": _plan(item),
            "price": _price(item),
            "quantity": 1,
            "subscription": sub.id,
            "tax_rates": [],
        }
        if self.is_old:
            return about
        return about | {
            "current_period_end": sub.end if item.end is None else item.end,
            "current_period_start": sub.start if item.start is None else item.start,
        }

    def _of_invoice(self, sub: Subscribed | None, *, is_paid: bool) -> Part:
        """Return what only one of the shapes has."""
        if self.is_old:
            return {
                "application_fee_amount": None,
                "charge": "ch_3QLk3" if is_paid else None,
                "discount": None,
                "paid": is_paid,
                "paid_out_of_band": False,
                "payment_intent": "pi_3QLk3",
                "quote": None,
                "subscription": sub.id if sub else None,
                "subscription_details": {"metadata": {} if sub else None},
                "tax": None,
                "total_tax_amounts": [],
                "transfer_data": None,
            }
        details: Part = {
            "quote_details": None,
            "subscription_details": {"metadata": {}, "subscription": sub.id if sub else None},
            "type": "subscription_details",
        }
        return {
            "amount_overpaid": 0,
            "customer_account": None,
            "parent": details if sub else None,
            "total_pretax_credit_amounts": [],
            "total_taxes": [],
        }

    def _line(self, invoice: str, sub: Subscribed, number: int, item: Item) -> Part:
        start = sub.start if item.start is None else item.start
        about = self._any_line(f"il_{invoice}_{number}", invoice, item, start, item.end or sub.end)
        name = f"si_{sub.id}_{number}"
        if self.is_old:
            return about | {
                "proration": False,
                "subscription": sub.id,
                "subscription_item": name,
                "type": "subscription",
            }
        details = {
            "invoice_item": None,
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": sub.id,
            "subscription_item": name,
        }
        parent = {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        }
        return about | {"parent": parent}

    def _lone_line(self, invoice: str, at: int) -> Part:
        about = self._any_line(f"il_{invoice}", invoice, Item("price_hour"), at, at)
        if self.is_old:
            return about | {"proration": False, "subscription": None, "type": "invoiceitem"}
        details: Part = {"invoice_item": "ii_1QLk3", "proration": False, "subscription": None}
        return about | {"parent": {"invoice_item_details": details, "type": "invoice_item_details"}}

    def _any_line(self, number: str, invoice: str, item: Item, start: int, end: int) -> Part:
        about: Part = {
            "id": number,
            "object": "line_item",
            "amount": item.amount,
            "currency": "eur",
            "description": f"1 × {item.price} (at €{item.amount / 100:.2f} / {item.interval})",
            "discount_amounts": [],
            "discountable": True,
            "discounts": [],
            "invoice": invoice,
            "livemode": False,
            "metadata": {},
            "period": {"end": end, "start": start},
            "pretax_credit_amounts": [],
            "quantity": 1,
        }
        if self.is_old:
            return about | {
                "amount_excluding_tax": item.amount,
                "plan": _plan(item),
                "price": _price(item),
                "proration_details": {"credited_items": None},
                "tax_amounts": [],
                "tax_rates": [],
                "unit_amount_excluding_tax": str(item.amount),
            }
        return about | {
            "pricing": {
                "price_details": {"price": item.price, "product": f"prod_of_{item.price}"},
                "type": "price_details",
                "unit_amount_decimal": str(item.amount),
            },
            "taxes": [],
        }


def signed(
    payload: Event | bytes, secret: str | Sequence[str], at: int, *, v0: bool = True
) -> tuple[bytes, str]:
    """Return the body of a webhook's request and its Stripe-Signature.

    secret: several while it is being changed: Stripe then sends as many v1. v0: the signature that
    test events have too, which nobody may trust.
    """
    body = payload if isinstance(payload, bytes) else json.dumps(payload, indent=2).encode()
    secrets = (secret,) if isinstance(secret, str) else secret
    header = [f"t={at}", *(f"v1={signature(body, one, at)}" for one in secrets)]
    if v0:
        header.append(f"v0={hashlib.sha256(body).hexdigest()}")
    return body, ",".join(header)


def signature(body: bytes, secret: str, at: int) -> str:
    """Return what a v1 says: HMAC-SHA-256 of the moment, a dot and the body, in hexadecimal.

    https://docs.stripe.com/webhooks#verify-manually
    """
    text = str(at).encode() + b"." + body
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def _price(item: Item) -> Part:
    return {
        "id": item.price,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 1_700_000_000,
        "currency": "eur",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": f"prod_of_{item.price}",
        "recurring": {
            "interval": item.interval,
            "interval_count": item.interval_count,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": item.amount,
        "unit_amount_decimal": str(item.amount),
    }


def _plan(item: Item) -> Part:
    return {
        "id": item.price,
        "object": "plan",
        "active": True,
        "amount": item.amount,
        "amount_decimal": str(item.amount),
        "billing_scheme": "per_unit",
        "created": 1_700_000_000,
        "currency": "eur",
        "interval": item.interval,
        "interval_count": item.interval_count,
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": None,
        "product": f"prod_of_{item.price}",
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
