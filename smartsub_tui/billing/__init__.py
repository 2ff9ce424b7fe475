"""What may change, by whom, and what it costs: orders, payments, pricing, terms, invoices, access, audit."""
