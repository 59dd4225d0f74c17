"""What keeps a tree from being a good image: the lints of `bootc container lint`, by their names, and ours."""
