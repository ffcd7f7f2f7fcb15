"""Events into open ticks: known ids, rules, history."""
