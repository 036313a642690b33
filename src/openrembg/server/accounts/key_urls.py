"""The pages of keys and tokens; urls.py puts them under account/ in each language."""

from django.urls import path

from openrembg.server.accounts import key_pages

urlpatterns = [
    path("keys", key_pages.keys, name="account_keys"),
    path("keys/<int:pk>", key_pages.key, name="account_key"),
    path("keys/<int:pk>/rotate", key_pages.rotate, name="account_key_rotate"),
    path("keys/<int:pk>/revoke", key_pages.revoke_key, name="account_key_revoke"),
    path("tokens", key_pages.tokens, name="account_tokens"),
    path("tokens/revoke", key_pages.revoke_tokens, name="account_tokens_revoke"),
    path("tokens/<int:pk>/revoke", key_pages.revoke_token, name="account_token_revoke"),
]
