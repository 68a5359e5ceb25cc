"""Token shards to summaries: small, mergeable accounts of the neurons of every layer, made while the model runs."""
