"""Users of the tests, as they are after they confirmed their address."""

import datetime as dt
from dataclasses import dataclass

from allauth.account.models import EmailAddress

from openrembg.server.accounts.keys import create_key, create_token
from openrembg.server.accounts.models import ApiKey, User
from openrembg.server.billing.models import BillingPeriod, Customer, Plan, Subscription
from openrembg.server.billing.subscriptions import reconcile
from openrembg.server.quota.ledger import Term, changing, follow, top_up, write_window
from openrembg.server.quota.models import Balance
from openrembg.server.quota.spending import Payer
from openrembg.server.quota.windows import Period


@dataclass(frozen=True, slots=True)
class Person:
    """A user with an API key and a user token, whose texts only a test knows."""

    user: User
    key: ApiKey
    key_text: str
    token_text: str

    @property
    def with_key(self) -> dict[str, str]:
        """The header that a program sends."""
        return {"X-Api-Key": self.key_text}

    @property
    def with_token(self) -> dict[str, str]:
        """The header that the web editor sends."""
        return {"Authorization": f"Bearer {self.token_text}"}

    @property
    def by_key(self) -> Payer:
        """Who pays when the key is used."""
        return Payer(self.user.pk, "api", self.key.pk, self.key.monthly_cap)

    @property
    def by_token(self) -> Payer:
        """Who pays when the token is used."""
        return Payer(self.user.pk, "app")

    def balance(self) -> Balance:
        """What the user has now."""
        return Balance.objects.select_related("plan").get(pk=self.user.pk)


def person(
    email: str = "ada@example.com",
    *,
    verified: bool = True,
    credits_: int | None = None,
    prepaid: int = 0,
    cap: int | None = None,
    per_minute: int = -1,
) -> Person:
    """Return a new user, on a plan of their own when `credits_` is given, else on Free."""
    user = User.objects.create_user(email, "correct horse battery")
    EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    if credits_ is not None:
        plan = Plan.objects.create(
            label=f"plan of {email}", credits=credits_, per_minute=per_minute
        )
        Balance.objects.filter(pk=user.pk).update(plan=plan)
    if prepaid:
        top_up(user.pk, prepaid)
    key, key_secret = create_key(user, "a key", monthly_cap=cap)
    _, token_secret = create_token(user)
    return Person(user, key, key_secret.text, token_secret.text)


def subscribe(
    user_id: int,
    period: Period,
    *,
    next_end: int | None = None,
    plan: Plan | None = None,
    at: dt.datetime | None = None,
) -> None:
    """Give a user what a subscription would: a billing period, and the plan's credits in it.

    next_end: where the one after it ends, which begins by itself. plan: None: the present one.
    """
    with changing(user_id) as balance:
        write_window(user_id, period, (plan or balance.plan).credits, at=at)
        follow(user_id, Term(plan, period, next_end), at=at)


def paying(
    user: User,
    period: Period,
    *,
    status: str = "active",
    ends_at: int | None = None,
    label: str = "Pro-5000",
) -> Subscription:
    """Let a user have subscribed to a plan with Stripe when a period began.

    ends_at: when the subscription was told to end; None: it goes on, month by month.
    """
    customer, _ = Customer.objects.get_or_create(pk=f"cus_{user.pk}", user=user)
    plan = Plan.objects.get(label=label)
    subscription = Subscription.objects.create(
        pk=f"sub_{user.pk}", customer=customer, status=status, interval="month", ends_at=ends_at
    )
    subscription.periods.add(
        BillingPeriod(start=period.start, end=period.end, plan=plan, credits=plan.credits),
        bulk=False,
    )
    reconcile(user.pk, dt.datetime.fromtimestamp(period.start, dt.UTC))
    return subscription
