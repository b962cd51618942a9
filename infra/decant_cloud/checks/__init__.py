"""What can be known to go wrong before a deployment: `make check-deploy STAGE=prod`.

The stage's templates are worked out with its parameters, as CloudFormation would, and then each part looks for one kind
of breach. A breach is a line with the error and its numbers.
"""
