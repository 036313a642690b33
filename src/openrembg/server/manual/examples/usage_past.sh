curl --fail-with-body -H "x-api-key: YOUR_API_KEY" \
  "http://localhost:8000/api/membership-usage?year=2026&month=10"
