"""/v1/responses: jobs as responses, and their events, the same in every stream."""
