curl --fail-with-body -H "x-api-key: YOUR_API_KEY" \
  "http://localhost:8000/api/membership-usage?periodStartUnix=1794787200&expand=billing_cycle"
