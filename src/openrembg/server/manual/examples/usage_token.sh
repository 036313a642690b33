curl --fail-with-body -X DELETE -H "Authorization: Bearer YOUR_USER_TOKEN" \
  http://localhost:8000/api/user-token
