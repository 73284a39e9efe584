"""Channel pruning in the Kronecker-factored eigenbasis (EigenDamage, Wang et al. 2019): graph -> smaller graph."""
