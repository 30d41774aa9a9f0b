SELECT record FROM scaling_states WHERE pool = $1
