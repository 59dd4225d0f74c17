"""One file per verb: plan(...) -> Plan, apply(Plan) -> Result."""
