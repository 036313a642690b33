openrembg admin set-plan ada@example.com Pro-5000
openrembg admin grant ada@example.com 50 --note 'for the outage'
openrembg admin usage ada@example.com
openrembg admin create-token ada@example.com
openrembg admin verify-ledger
