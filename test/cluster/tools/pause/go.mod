module pannier.invalid/cluster/pause

go 1.24
